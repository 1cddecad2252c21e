/**
 * The third stage: manifest, then pointer, each under a precondition, so that nothing is published before it is whole
 * and no other writer's work is lost.
 */
import { describeError, ToolError } from '../../../core/errors.ts';
import {
  type Manifest,
  manifestSchema,
  type Pointer,
  parseManifest,
  serialiseDocument,
} from '../../../core/format/manifest.ts';
import { SubvolumeKeys } from '../../../core/format/names.ts';
import type { ChunksFile, PublishedFile, SnapshotFile, StoredChunk } from '../../../core/format/run-files.ts';
import { TOOL } from '../../../core/format/tool.ts';
import type { SelectedSubvolume } from '../../../core/settings/rules.ts';
import { RunDirectory } from '../../../edge/files/run-directory.ts';
import { writeDocument } from '../../../edge/s3/documents.ts';
import { lookUntilSeen } from '../../../edge/s3/late-objects.ts';
import { writeOptions } from '../../../edge/s3/s3-client.ts';
import { readPointer } from '../../bucket/backups.ts';
import { type LookedAtChunk, lookAtChunks } from '../../bucket/look-at-chunks.ts';
import type { StageContext } from '../../context.ts';
import { lookAtBackup } from '../last-backup.ts';
import { finishPublished, isLastPublished } from '../unfinished.ts';
import { anotherWriter } from './another-writer.ts';
import { findManifest, manifestKeyOf } from './own-manifest.ts';
import { type TidyOutcome, tidyUp } from './tidy-up.ts';
import { writeManifest } from './write-manifest.ts';

/** What was published, for the user. */
export interface PublishOutcome extends TidyOutcome {
  readonly manifestKey: string;
  readonly manifest: Manifest;
  /** Backups from the full one up to this one. */
  readonly chainLength: number | undefined;
  /** From planning to publishing, an interruption included. */
  readonly seconds: number;
}

/**
 * Publishes the finished upload of a subvolume.
 * @throws ToolError when the upload is not finished, or another writer was first; nothing is changed then.
 */
export async function publishBackup(
  context: StageContext,
  subvolume: SelectedSubvolume,
): Promise<PublishOutcome> {
  const run = new RunDirectory(context.settings.RUN_DIR, subvolume.name);
  const snapshot = await run.readSnapshot();
  const upload = snapshot && (await run.readChunks());
  if (!snapshot || !upload) {
    const earlier = snapshot && (await concludeEarlier(context, run, snapshot));
    if (earlier) return earlier;
    const missing = snapshot ? 'its upload is not finished' : 'no snapshot is prepared';
    throw new ToolError(`nothing to publish for ${subvolume.name}: ${missing}`, { hint: 'run: make backup' });
  }
  const { server, bucket, prefix } = upload.identity;
  if (
    server !== context.bucket.server ||
    bucket !== context.bucket.name ||
    prefix !== context.bucket.prefix
  ) {
    throw new ToolError(
      `nothing to publish for ${subvolume.name}: it was uploaded to ${bucket}/${prefix} (${server})`,
      {
        hint: 'run make backup: it uploads to where the settings say now',
      },
    );
  }
  const keys = new SubvolumeKeys(context.bucket.prefix, snapshot.subvolume);
  const manifestKey = manifestKeyOf(context.bucket, snapshot);
  const built = buildManifest(context, snapshot, upload);
  // What is published must be readable: the same check that every reader makes, before anything is written.
  parseManifest(serialiseDocument(built), manifestKey, context.bucket.prefix);

  const confirmed = await confirmChunks(context, built, run);
  const chainBefore = await confirmChain(context, built);
  const chainLength = chainBefore === undefined ? undefined : chainBefore + 1;
  const { text, manifest } = await writeManifest(context, serialiseDocument(confirmed), snapshot, upload);
  await writePointer(context, keys.current, snapshot, manifestKey);
  // From here on the backup is published: what fails below must not make the next run take this one up again.
  await recordPublished(run, {
    manifest_key: manifestKey,
    published_at: context.now().toISOString(),
    server,
    bucket,
    prefix,
    upload_rate: upload.rate ?? (await run.readPublished())?.upload_rate,
  });
  const tidied = await tidyUp(context, run, snapshot, { key: manifestKey, text });
  return { manifestKey, manifest, chainLength, seconds: secondsSince(context, snapshot), ...tidied };
}

/**
 * Ends a run that was cut off while it removed its files, behind its publish: chunks.json goes first.
 * @returns undefined when its backup is not the last one of the bucket
 */
async function concludeEarlier(
  context: StageContext,
  run: RunDirectory,
  snapshot: SnapshotFile,
): Promise<PublishOutcome | undefined> {
  const found = await findManifest(context.bucket, snapshot, undefined);
  if (!found || !('ours' in found) || !(await isLastPublished(context, snapshot))) return undefined;
  await finishPublished(context, run, snapshot);
  const { ours: manifest, text } = found;
  const manifestKey = manifestKeyOf(context.bucket, snapshot);
  const tidied = await tidyUp(context, run, snapshot, { key: manifestKey, text });
  return {
    manifestKey,
    manifest,
    chainLength: undefined,
    seconds: secondsSince(context, snapshot),
    ...tidied,
  };
}

function secondsSince({ now }: StageContext, { started_at }: SnapshotFile): number {
  return (now().getTime() - Date.parse(started_at)) / 1000;
}

/** @throws ToolError that says what is published all the same */
async function recordPublished(run: RunDirectory, file: PublishedFile): Promise<void> {
  await run.finish(file).catch((cause: unknown) => {
    throw new ToolError(`${file.manifest_key} is published, but ${describeError(cause)}`, { cause });
  });
}

/**
 * Looks at every chunk once more: a manifest must not name what the bucket does not have.
 * @returns the manifest, with the ETags of chunks that had none yet.
 * @throws ToolError; the upload stage will then store what is missing.
 */
async function confirmChunks(
  context: StageContext,
  manifest: Manifest,
  run: RunDirectory,
): Promise<Manifest> {
  const { bucket } = context;
  const isMissing = ({ head }: LookedAtChunk) => head === undefined;
  const looked = await lookUntilSeen<readonly LookedAtChunk[]>(
    bucket,
    async (before) => {
      const unseen = before?.filter(isMissing).map(({ chunk }) => chunk) ?? manifest.chunks;
      const again = new Map((await lookAtChunks(context, unseen)).map((seen) => [seen.chunk.key, seen]));
      return before?.map((seen) => again.get(seen.chunk.key) ?? seen) ?? [...again.values()];
    },
    (seen) => !seen.some(isMissing),
  );
  const first = looked.find(({ problem }) => problem !== undefined);
  if (!first) {
    const chunks = looked.map(({ chunk, head }) => ({ ...chunk, etag: chunk.etag || (head?.etag ?? '') }));
    return { ...manifest, chunks };
  }
  await run.forgetChunks();
  const since = isMissing(first) && !bucket.isAws ? ', a minute after it was stored' : '';
  throw new ToolError(
    `nothing was published: chunk ${first.chunk.key} ${first.problem}${since} (${bucket.server})`,
    {
      hint: 'run make backup again: it uploads what the bucket does not have; if it stays like this, the server loses or changes what it has stored',
    },
  );
}

/**
 * Looks at the chain once more: it was whole when this backup was planned, which may be weeks ago.
 * @returns how many backups it has; 0 for a full one, which has none; undefined where archived manifests hide it.
 * @throws ToolError (damage); the next backup will find the same, and be a full one.
 */
async function confirmChain(
  context: StageContext,
  { parent_manifest, subvolume }: Manifest,
): Promise<number | undefined> {
  if (parent_manifest === null) return 0;
  const looked = await lookAtBackup(context, parent_manifest);
  if ('chainLength' in looked) return looked.chainLength;
  throw new ToolError(
    `nothing of ${subvolume} was published: its chain has been damaged since: ${looked.problem}`,
    {
      kind: 'damage',
      hint: 'run make backup again: it makes a full one',
    },
  );
}

function buildManifest(
  { bucket, hostName, hostId }: StageContext,
  file: SnapshotFile,
  upload: ChunksFile,
): Manifest {
  return manifestSchema.parse({
    version: 1,
    subvolume: file.subvolume,
    kind: file.kind,
    created_at: file.created_at,
    snapshot: {
      ...file.snapshot,
      transid: upload.stream.transid,
      parent_transid: upload.stream.parent_transid,
      ...(file.parent?.continued && { parent_continued: true as const }),
      mtime: upload.stream.mtime ?? file.snapshot.mtime,
    },
    parent_manifest: file.parent?.manifest_key ?? null,
    chunks: upload.chunks.map(describeChunk),
    total_bytes: upload.chunks.reduce((sum, chunk) => sum + chunk.size, 0),
    chunk_size: upload.chunk_size,
    stream: upload.stream,
    // As the chunks were stored, whatever the settings have become since.
    codec: {
      compress: upload.identity.compress,
      encrypt: upload.identity.encrypt_to === '' ? 'none' : 'age',
    },
    sealed: upload.sealed,
    s3: {
      bucket: bucket.name,
      region: bucket.region,
      storage_class: upload.identity.storage_class,
      sse: upload.identity.sse,
    },
    host: hostName,
    host_id: hostId,
    filesystem_uuid: file.filesystem_uuid,
    tool: { ...TOOL, ...(upload.programs && { programs: upload.programs }) },
    timing: { started_at: file.started_at, finished_at: upload.finished_at },
  });
}

/** What the manifest says of a chunk. What its frames were made of stays here: `sealed` has it for those who may read it. */
function describeChunk({ index: _, part_size, frames, ...chunk }: StoredChunk): Manifest['chunks'][number] {
  if (!frames) return { ...chunk, part_size };
  return { ...chunk, frames: frames.map(({ size, plain_size }) => ({ size, plain_size })) };
}

async function writePointer(
  context: StageContext,
  key: string,
  file: SnapshotFile,
  manifestKey: string,
): Promise<void> {
  const { bucket, settings } = context;
  const pointer: Pointer = { manifest_key: manifestKey, kind: file.kind, created_at: file.created_at };
  const precondition = file.pointer_etag === null ? { absent: true as const } : { etag: file.pointer_etag };
  const written = await writeDocument(
    bucket,
    key,
    serialiseDocument(pointer),
    writeOptions(settings, 'manifest'),
    precondition,
  );
  if (written) return;
  const now = await readPointer(bucket, file.subvolume);
  if (now?.pointer.manifest_key === manifestKey) return;
  throw anotherWriter(`${key} was changed since this backup was planned`);
}
