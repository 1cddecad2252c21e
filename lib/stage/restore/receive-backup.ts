/** One stream of a chain on its way into a staging directory, and what makes it count as received. */
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import type { Manifest, ManifestChunk } from '../../core/format/manifest.ts';
import type { Labels } from '../../core/stream/rewrite/relabel.ts';
import { RootAttributes } from '../../core/stream/rewrite/root-attributes.ts';
import { StrayDirectories } from '../../core/stream/rewrite/stray-directories.ts';
import type { StreamHead } from '../../core/stream/stream-head.ts';
import { StreamInspector } from '../../core/stream/stream-inspector.ts';
import { passesCompressionOn } from '../../edge/btrfs/attributes.ts';
import { subvolumeAt } from '../../edge/btrfs/btrfs.ts';
import type { KeptParts } from '../../edge/files/kept-parts.ts';
import { fetchStream } from '../../transfer/back/fetch-stream.ts';
import { openFetching, type ThawAgain } from '../../transfer/back/fetching.ts';
import { keepingParts } from '../../transfer/back/keeping-parts.ts';
import { openReceiveStream } from '../../transfer/back/receive-stream.ts';
import { expectedOfManifest, explainStreamError, streamProblem } from '../../transfer/stream-check.ts';
import type { StageContext } from '../context.ts';
import type { Staging } from './staging/staging.ts';

/** A stream that was received whole. */
export interface ReceivedStream {
  readonly path: string;
  /** Its own, not what it was received as. */
  readonly own: { readonly uuid: string; readonly id: number };
  /** As the stream was made. */
  readonly head: StreamHead;
  /** As it was received. */
  readonly labels: Labels;
  /** Empty directories at its top that the snapshot does not have. */
  readonly strays: readonly string[];
}

/** Where the bytes come from. */
export interface StreamSource {
  /** Of all streams of the restore, which share their memory. */
  readonly chunks: readonly ManifestChunk[];
  readonly thawAgain: ThawAgain;
  /** Parts of this stream on disk; undefined without SPOOL_DIR. */
  readonly kept?: { readonly parts: KeptParts; readonly mayGrow: boolean } | undefined;
}

/**
 * Receives one stream and applies the three-part test: exit code 0, the expected UUID, and the read-only flag. It is received under
 * a name and a UUID of our own: others of this filesystem may carry the chain's.
 */
export async function receiveBackup(
  context: StageContext,
  manifest: Manifest,
  before: ReceivedStream | undefined,
  staging: Staging,
  label: string,
  source: StreamSource,
): Promise<ReceivedStream> {
  const labels = {
    name: before?.labels.name === 'a' ? 'b' : 'a',
    uuid: randomUUID(),
    parentUuid: before?.labels.uuid,
    rootAttributes: before?.labels.rootAttributes ?? new RootAttributes(),
    inheritsCompression: before === undefined && (await passesCompressionOn(staging.path)),
    mtime: manifest.snapshot.mtime,
  };
  // Of a copy that was received it is not known whether it had them, so they may be directories of the snapshot by now.
  const strays = new StrayDirectories(manifest.snapshot.parent_continued ? [] : before?.strays);
  const what = `the stream of ${label}`;
  const inspector = new StreamInspector({
    labels,
    strays,
    onHead: (head) => {
      const problem = streamProblem(head, expectedOfManifest(manifest, before?.head));
      if (problem)
        throw new ToolError(`${what} cannot be restored: it ${problem}`, {
          kind: 'damage',
          hint: damageHint,
        });
    },
  });
  const progress = context.startProgress(`restore ${label}`);
  progress.expect(manifest.total_bytes);
  const receive = openReceiveStream(staging.path, context.signal, {
    lock: staging.lock.fd,
    place: dirname(staging.path),
  });
  let head: StreamHead;
  try {
    const sink = async (bytes: Uint8Array) => {
      for (const piece of inspector.push(bytes)) await receive.write(piece);
    };
    const fetching = await openFetching(context, source.chunks, progress, source);
    const { kept } = source;
    await fetchStream(kept ? keepingParts(fetching, kept.parts, kept.mayGrow) : fetching, manifest, sink);
    head = inspector.finish();
    progress.waitFor('btrfs receive');
    await receive.finish();
  } catch (error) {
    throw explainStreamError(error, what, damageHint);
  } finally {
    await receive.close();
    progress.stop();
  }
  const path = join(staging.path, labels.name);
  const received = await subvolumeAt(path, labels.name);
  if (received?.readOnly && received.receivedUuid === labels.uuid) {
    return { path, own: { uuid: received.uuid, id: received.id }, head, labels, strays: strays.names };
  }
  const found = received
    ? `a ${received.readOnly ? 'read-only' : 'writable'} subvolume with received UUID ${received.receivedUuid ?? 'none'}`
    : 'no subvolume';
  throw new ToolError(
    `btrfs receive exited 0, but produced ${found} where a read-only one with received UUID ${labels.uuid} was expected`,
    { kind: 'damage', hint: damageHint },
  );
}

const damageHint = 'make verify DEEP=1 checks the bucket; AT= restores an earlier backup';
