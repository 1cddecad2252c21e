/**
 * The second stage: `btrfs send` → pipe → part → hash → S3 → journal → chunks.json. Memory is bounded by the pool of
 * CONCURRENCY + 1 parts; the stream is cut without being copied; nothing is complete before `btrfs send` has exited 0.
 */
import { type ByteSource, cutIntoChunks } from '../core/chunker.ts';
import { ToolError } from '../core/errors.ts';
import { SubvolumeKeys } from '../core/names.ts';
import { chooseLayout, type Layout } from '../core/part-sizes.ts';
import { type EarlierUpload, replayJournal, sameUpload } from '../core/resume.ts';
import type { ChunksFile, SnapshotFile, StoredChunk, UploadIdentity } from '../core/run-files.ts';
import type { SelectedSubvolume } from '../core/settings/rules.ts';
import { formatSize } from '../core/units.ts';
import { canSendCompressed, estimateNewBytes } from '../edge/btrfs.ts';
import { ChunkWriter } from '../edge/chunk-writer.ts';
import { Hasher } from '../edge/hasher.ts';
import { Journal, readJournal } from '../edge/journal.ts';
import { PartPool } from '../edge/part-pool.ts';
import { RunDirectory } from '../edge/run-directory.ts';
import { writeOptions } from '../edge/s3-client.ts';
import { openSendStream } from '../edge/send-stream.ts';
import { ChunkUpload, type ChunkUploadTools, StreamChanged } from './chunk-upload.ts';
import type { Progress, StageContext } from './context.ts';
import { TaskGate } from './task-gate.ts';

/** More chunks than this do not fit the manifest. */
const maxChunks = 100_000;

/** What was uploaded, for the user. */
export interface UploadOutcome {
  readonly chunks: number;
  readonly bytes: number;
  /** True when an earlier run had already uploaded everything. */
  readonly alreadyDone: boolean;
}

/**
 * Uploads the snapshot that is prepared for a subvolume.
 * @throws ToolError when none is prepared, when `btrfs send` fails, or when the bucket cannot be written; what was
 *   uploaded is kept for the next run.
 */
export async function uploadSnapshot(
  context: StageContext,
  subvolume: SelectedSubvolume,
): Promise<UploadOutcome> {
  const run = new RunDirectory(context.settings.RUN_DIR, subvolume.name);
  const snapshot = await run.readSnapshot();
  if (!snapshot) {
    throw new ToolError(`no snapshot of ${subvolume.name} is prepared`, {
      hint: 'run: make snapshot (or make backup)',
    });
  }
  const finished = await run.readChunks();
  if (finished) return { chunks: finished.chunks.length, bytes: finished.stream.bytes, alreadyDone: true };

  const progress = context.startProgress(`upload ${subvolume.name}`);
  try {
    const file = await uploadOnceOrAgain(context, run, snapshot, progress);
    await run.writeChunks(file);
    return { chunks: file.chunks.length, bytes: file.stream.bytes, alreadyDone: false };
  } finally {
    progress.stop();
  }
}

/** A stream that differs from a completed chunk of an earlier run makes that run worthless: then everything is sent. */
async function uploadOnceOrAgain(
  context: StageContext,
  run: RunDirectory,
  snapshot: SnapshotFile,
  progress: Progress,
): Promise<ChunksFile> {
  const layout = chooseLayout(context.settings.CHUNK_SIZE, context.settings.PART_SIZE);
  const identity = identityOf(context, snapshot, layout);
  const earlier = replayJournal(await readJournal(run.journalPath));
  const reusable = earlier.identity !== undefined && sameUpload(earlier.identity, identity);
  if (earlier.identity && !reusable) context.log.info('the settings have changed: the upload begins again');
  try {
    return await upload(context, run, snapshot, layout, reusable ? earlier : undefined, progress);
  } catch (error) {
    if (!(error instanceof StreamChanged)) throw error;
    context.log.warn(`the stream has changed since the last run (${error.message}): the upload begins again`);
    return upload(context, run, snapshot, layout, undefined, progress);
  }
}

async function upload(
  context: StageContext,
  run: RunDirectory,
  snapshot: SnapshotFile,
  layout: Layout,
  earlier: EarlierUpload | undefined,
  progress: Progress,
): Promise<ChunksFile> {
  const { settings, bucket } = context;
  const startedAt = context.now().toISOString();
  const ending = new AbortController();
  const signal = AbortSignal.any([context.signal, ending.signal]);
  const compressedData = await shouldSendCompressed(settings.COMPRESSED_SEND);
  const journal = await Journal.open(run.journalPath, earlier ? 'continue' : 'begin');
  if (!earlier) await journal.append({ event: 'upload-begun', ...identityOf(context, snapshot, layout) });
  const pool = new PartPool(settings.CONCURRENCY + 1, layout.partSizeBytes);
  const hasher = new Hasher(pool);
  const writer = new ChunkWriter(
    bucket,
    writeOptions(settings, 'chunks'),
    {
      onSent: (bytes) => progress.add(bytes),
      onRetry: (what, error, attempt) =>
        context.log.warn(`${what}: attempt ${attempt} failed, trying again: ${error.message}`),
    },
    signal,
  );
  showEstimate(context, snapshot, signal, progress);
  const stream = await openSendStream(
    {
      snapshotPath: snapshot.snapshot.path,
      parentPath: snapshot.parent?.path,
      compressedData,
      directory: run.path,
    },
    signal,
  );
  try {
    const tools = { writer, journal, hasher, onReused: (bytes: number) => progress.add(bytes) };
    const { chunks, sha256 } = await transfer(context, snapshot, {
      layout,
      earlier,
      stream,
      pool,
      tools,
      ending,
    });
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
    return {
      chunks: [...chunks],
      chunk_size: layout.chunkSizeBytes,
      stream: { bytes, sha256, protocol: compressedData ? 2 : 1, compressed_data: compressedData },
      started_at: startedAt,
      finished_at: context.now().toISOString(),
    };
  } finally {
    ending.abort();
    await stream.close();
    await hasher.close();
    await journal.close();
  }
}

interface Transfer {
  readonly layout: Layout;
  readonly earlier: EarlierUpload | undefined;
  readonly stream: ByteSource;
  readonly pool: PartPool;
  readonly tools: ChunkUploadTools;
  /** Aborted with the first failure, so that everything else stops. */
  readonly ending: AbortController;
}

/** The way of the bytes: cut, hash, store; chunk after chunk, CONCURRENCY parts at a time. */
async function transfer(
  context: StageContext,
  snapshot: SnapshotFile,
  { layout, earlier, stream, pool, tools, ending }: Transfer,
): Promise<{ readonly chunks: readonly StoredChunk[]; readonly sha256: string }> {
  const keys = new SubvolumeKeys(context.bucket.prefix, snapshot.subvolume);
  const gate = new TaskGate(context.settings.CONCURRENCY, (error) => ending.abort(error));
  const chunks: Promise<StoredChunk>[] = [];
  let sha256 = '';
  try {
    const onFilled = tools.hasher.update.bind(tools.hasher);
    for await (const { index, parts } of cutIntoChunks(stream, pool, layout, onFilled)) {
      if (index >= maxChunks)
        throw new ToolError('the stream has more than 100,000 chunks', { hint: 'raise CHUNK_SIZE' });
      const key = keys.chunk(snapshot.kind, snapshot.created_at, index);
      const place = { index, key, partSizeBytes: layout.partSizeBytes };
      const chunk = new ChunkUpload(tools, place, earlier?.chunks.get(index));
      const stored: Promise<void>[] = [];
      let chunkSha256 = '';
      for await (const part of parts) {
        const digests = await tools.hasher.finishPart(part.endsChunk);
        if (part.endsChunk) [chunkSha256, sha256] = [digests.chunk, digests.stream];
        const task = await gate.start(() =>
          chunk.store(part, digests).finally(() => pool.release(part.slot)),
        );
        stored.push(task.done);
      }
      const completed = Promise.all(stored).then(() => chunk.finish(chunkSha256));
      completed.catch((error: unknown) => ending.abort(error));
      chunks.push(completed);
    }
    return { chunks: await Promise.all(chunks), sha256 };
  } catch (error) {
    ending.abort(error);
    throw ending.signal.reason;
  } finally {
    await gate.idle();
    await Promise.allSettled(chunks);
  }
}

function identityOf({ bucket }: StageContext, snapshot: SnapshotFile, layout: Layout): UploadIdentity {
  return {
    snapshot_uuid: snapshot.snapshot.uuid,
    parent_uuid: snapshot.parent?.uuid ?? null,
    bucket: bucket.name,
    prefix: bucket.prefix,
    chunk_size: layout.chunkSizeBytes,
    part_size: layout.partSizeBytes,
  };
}

async function shouldSendCompressed(setting: 'auto' | 'true' | 'false'): Promise<boolean> {
  if (setting === 'false') return false;
  if (await canSendCompressed()) return true;
  if (setting === 'auto') return false;
  throw new ToolError('COMPRESSED_SEND=true needs kernel and btrfs-progs 6.0 or newer', {
    hint: 'use COMPRESSED_SEND=auto',
  });
}

/** The estimate is a convenience: a backup does not fail because of it. */
function showEstimate(
  context: StageContext,
  snapshot: SnapshotFile,
  signal: AbortSignal,
  progress: Progress,
): void {
  estimateNewBytes(snapshot.snapshot.path, snapshot.parent?.generation ?? 0, signal).then(
    (bytes) => {
      progress.expect(bytes);
      context.log.debug(`about ${formatSize(bytes)} to send`);
    },
    (error: unknown) => context.log.debug(`no estimate: ${error}`),
  );
}
