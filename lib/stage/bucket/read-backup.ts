/** Reads every byte of a backup, chunk by chunk, so that one damaged chunk does not hide another. */
import { ToolError } from '../../core/errors.ts';
import type { ManifestChunk, StoredManifest } from '../../core/format/manifest.ts';
import { StreamFormatError } from '../../core/stream/commands.ts';
import type { StreamHead } from '../../core/stream/stream-head.ts';
import { StreamInspector } from '../../core/stream/stream-inspector.ts';
import { fetchChunk } from '../../transfer/back/fetch-chunk.ts';
import { checkStreamHash } from '../../transfer/back/fetch-stream.ts';
import { openFetching } from '../../transfer/back/fetching.ts';
import { type Decoder, openDecoder } from '../../transfer/codec/decoder.ts';
import { explainStreamError } from '../../transfer/stream-check.ts';
import type { StageContext } from '../context.ts';

/** What to read, and what need not be tried. */
export interface ReadingRequest {
  readonly backup: StoredManifest;
  /** Keys of chunks that are known not to be readable. */
  readonly skipped: ReadonlySet<string>;
  /** True where only its stored bytes can be read: it is encrypted, and there is no identity that opens it. */
  readonly isSealed: boolean;
  /** Of all backups that the command reads, which share their memory. */
  readonly allChunks: readonly ManifestChunk[];
}

/** What reading found. */
export interface BackupReading {
  /** What the stream says of itself; undefined when it was not read whole. */
  readonly head: StreamHead | undefined;
  readonly problems: readonly { readonly object: string; readonly problem: string }[];
  /** Keys of chunks that are archived and not thawed. */
  readonly cold: readonly string[];
}

const byOtherMeans = 'it can be read by other means only';

/** Reads a backup. @throws ToolError for a failure that is no damage */
export async function readBackup(
  context: StageContext,
  { backup: { key, manifest }, skipped, isSealed, allChunks }: ReadingRequest,
): Promise<BackupReading> {
  const problems: { object: string; problem: string }[] = [];
  const cold: string[] = [];
  const progress = context.startProgress(`read ${manifest.subvolume} ${manifest.created_at}`);
  progress.expect(manifest.total_bytes);
  const inspector = new StreamInspector();
  // What is sealed shows nothing of its stream.
  let isWhole = !isSealed;
  let sha256 = '';
  const sink = async (bytes: Uint8Array) => {
    if (isWhole) inspector.push(bytes);
  };
  const open = () => openFetching(context, allChunks, progress);
  let decoder: Decoder | undefined;
  try {
    let fetching = await open();
    decoder = isSealed ? undefined : await openDecoder(manifest, fetching).catch(noteUnreadable);
    for (const chunk of manifest.chunks) {
      isWhole &&= !skipped.has(chunk.key);
      if (skipped.has(chunk.key)) continue;
      try {
        sha256 = await fetchChunk(fetching, chunk, sink, decoder);
      } catch (cause) {
        isWhole = false;
        const error = explainStreamError(cause, `the stream of ${key}`, byOtherMeans);
        if (error instanceof ToolError && error.kind === 'thaw') cold.push(chunk.key);
        else if (error instanceof ToolError && error.kind === 'damage') {
          problems.push({ object: chunk.key, problem: error.problem });
        } else throw error;
        // What was hashed of this chunk must not count for the next.
        fetching = await open();
        decoder?.close();
        decoder &&= await openDecoder(manifest, fetching);
      }
    }
    return { head: isWhole ? headOf() : undefined, problems, cold };
  } finally {
    decoder?.close();
    progress.stop();
  }

  /** Its sealed digests are not its own: then its chunks may still be those that were stored. */
  function noteUnreadable(error: unknown): undefined {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    problems.push({ object: key, problem: error.problem });
    isWhole = false;
  }

  function headOf(): StreamHead | undefined {
    try {
      checkStreamHash(manifest, sha256, decoder);
      return inspector.finish();
    } catch (error) {
      if (!(error instanceof StreamFormatError || error instanceof ToolError)) throw error;
      const problem = error instanceof ToolError ? error.problem : `its stream is none: ${error.message}`;
      problems.push({ object: key, problem: `cannot be restored: ${problem}` });
      return undefined;
    }
  }
}
