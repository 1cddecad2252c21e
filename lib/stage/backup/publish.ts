/**
 * The third stage: manifest, then pointer, each under a precondition, so that nothing is published before it is whole
 * and no other writer's work is lost. Then local snapshots are thinned.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, ToolError } from '../../core/errors.ts';
import {
  MAX_MANIFEST_BYTES,
  type Manifest,
  manifestSchema,
  type Pointer,
  parseManifest,
  serialiseDocument,
} from '../../core/format/manifest.ts';
import { recoveryTextKey, SubvolumeKeys } from '../../core/format/names.ts';
import { recoveryText } from '../../core/format/recovery-text.ts';
import type { ChunksFile, SnapshotFile, StoredChunk } from '../../core/format/run-files.ts';
import { TOOL } from '../../core/format/tool.ts';
import { snapshotsToThin } from '../../core/plan/retention.ts';
import type { SelectedSubvolume } from '../../core/settings/rules.ts';
import { deleteSubvolume, findSubvolumes } from '../../edge/btrfs/btrfs.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { readDocument, writeDocument, writeText } from '../../edge/s3/documents.ts';
import { writeOptions } from '../../edge/s3/s3-client.ts';
import { isSignatureOf, signText } from '../../edge/signature/ssh-signature.ts';
import { readManifest, readPointer } from '../bucket/backups.ts';
import { lookAtChunks } from '../bucket/look-at-chunks.ts';
import type { StageContext } from '../context.ts';
import { anotherWriter } from './another-writer.ts';
import { lookAtChain } from './last-backup.ts';

/** What was published, for the user. */
export interface PublishOutcome {
  readonly manifestKey: string;
  readonly manifest: Manifest;
  /** From planning to publishing, an interruption included. */
  readonly seconds: number;
  readonly thinned: readonly string[];
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
  const manifestKey = keys.manifest(snapshot.kind, snapshot.created_at);
  const manifest = buildManifest(context, snapshot, upload);
  const text = serialiseDocument(manifest);
  // What is published must be readable: the same check that every reader makes, before anything is written.
  parseManifest(text, manifestKey, context.bucket.prefix);

  await confirmChunks(context, manifest, run);
  await confirmChain(context, manifest);
  // First: a manifest that is there is signed.
  await writeSignature(context, keys.signature(snapshot.kind, snapshot.created_at), text);
  await writeManifest(context, manifestKey, text);
  await writePointer(context, keys.current, snapshot, manifestKey);
  // From here on the backup is published: what fails below must not make the next run take this one up again.
  await run.finish({
    manifest_key: manifestKey,
    published_at: context.now().toISOString(),
    server,
    bucket,
    prefix,
  });
  const thinned = await tidyUp(context, snapshot, manifestKey, text);
  const seconds = (context.now().getTime() - Date.parse(snapshot.started_at)) / 1000;
  return { manifestKey, manifest, seconds, thinned };
}

/**
 * Looks at every chunk once more: a manifest must not name what the bucket does not have.
 * @throws ToolError; the upload stage will then store what is missing.
 */
async function confirmChunks(context: StageContext, manifest: Manifest, run: RunDirectory): Promise<void> {
  const first = (await lookAtChunks(context, manifest.chunks)).find(({ problem }) => problem !== undefined);
  if (!first) return;
  await run.forgetChunks();
  throw new ToolError(`nothing was published: chunk ${first.chunk.key} ${first.problem}`, {
    hint: 'run make backup again: it uploads what the bucket does not have',
  });
}

/**
 * Looks at the chain once more: it was whole when this backup was planned, which may be weeks ago.
 * @throws ToolError (damage); the next backup will find the same, and be a full one.
 */
async function confirmChain(context: StageContext, { parent_manifest, subvolume }: Manifest): Promise<void> {
  if (parent_manifest === null) return;
  const parent = await readManifest(context.bucket, parent_manifest);
  const chain = await lookAtChain(context, parent_manifest, parent);
  if (!('problem' in chain)) return;
  throw new ToolError(
    `nothing of ${subvolume} was published: its chain has been damaged since: ${chain.problem}`,
    {
      kind: 'damage',
      hint: 'run make backup again: it makes a full one',
    },
  );
}

/** RESTORE.txt and old snapshots: the backup is whole without them, but the user must know. */
async function tidyUp(
  context: StageContext,
  file: SnapshotFile,
  manifestKey: string,
  text: string,
): Promise<readonly string[]> {
  try {
    await leaveCopyForHarness(manifestKey, text);
    await writeRecoveryText(context);
    return await thinSnapshots(context, file);
  } catch (error) {
    throw new ToolError(`${manifestKey} is published, but tidying up failed: ${describeError(error)}`, {
      ...(error instanceof ToolError && error.childOutput && { childOutput: error.childOutput }),
      cause: error,
    });
  }
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

/** A manifest that is there already is ours when it says the same: the answer to an earlier attempt was lost. */
async function writeManifest({ bucket, settings }: StageContext, key: string, text: string): Promise<void> {
  if (await writeDocument(bucket, key, text, writeOptions(settings, 'manifest'), { absent: true })) return;
  if ((await readDocument(bucket, key, MAX_MANIFEST_BYTES))?.text === text) return;
  throw anotherWriter(`${key} exists already`);
}

/** Signs a manifest, where SIGN_WITH is set. A signature that is there already is ours when it is of the same text. */
async function writeSignature({ bucket, settings }: StageContext, key: string, text: string): Promise<void> {
  if (settings.SIGN_WITH === '') return;
  const signature = await signText(settings.SIGN_WITH, text);
  if (await writeDocument(bucket, key, signature, writeOptions(settings, 'manifest'), { absent: true }))
    return;
  const there = await readDocument(bucket, key, 65_536);
  if (there && (await isSignatureOf(text, there.text))) return;
  throw anotherWriter(`${key} exists already`);
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

async function writeRecoveryText({ bucket, settings }: StageContext): Promise<void> {
  const key = recoveryTextKey(bucket.prefix);
  const text = recoveryText(bucket.name, bucket.prefix);
  if ((await readDocument(bucket, key, 65_536))?.text === text) return;
  await writeText(bucket, key, text, writeOptions(settings, 'manifest'));
}

/** The integration harness looks at manifests without asking the bucket. */
async function leaveCopyForHarness(manifestKey: string, text: string): Promise<void> {
  const directory = process.env.BTRFS_TO_S3_HARNESS_RUN_DIR;
  if (!directory) return;
  const path = join(directory, 'manifests', manifestKey.replaceAll('/', '_'));
  await mkdir(join(directory, 'manifests'), { recursive: true });
  await writeFile(path, text);
}

async function thinSnapshots(context: StageContext, file: SnapshotFile): Promise<readonly string[]> {
  const { SNAPSHOT_DIR: directory, KEEP_SNAPSHOTS: keep } = context.settings;
  // Those of others are theirs to thin.
  if (!directory || file.adopted) return [];
  const here = await findSubvolumes(directory);
  // A snapshot that was made writable is somebody's work now.
  const names = here.filter((found) => found.readOnly).map((found) => found.name);
  const thin = snapshotsToThin(file.subvolume, names, keep, file.snapshot.name);
  for (const { name, path } of here) {
    if (thin.includes(name)) await deleteSubvolume(path);
  }
  return thin;
}
