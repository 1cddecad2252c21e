/**
 * The second stage: `btrfs send` → pipe → part → hash → S3 → journal → chunks.json. Memory is bounded by the pool of
 * CONCURRENCY + 1 parts; the stream is cut without being copied; nothing is complete before `btrfs send` has exited 0.
 */
import { cutIntoChunks } from '../core/chunker.ts';
import { describeError, ToolError } from '../core/errors.ts';
import { SubvolumeKeys } from '../core/names.ts';
import { sameUpload, unfinishedUploads } from '../core/resume.ts';
import type { ChunksFile, SnapshotFile, StoredChunk } from '../core/run-files.ts';
import type { SelectedSubvolume } from '../core/settings/rules.ts';
import { formatSize } from '../core/units.ts';
import { estimateNewBytes } from '../edge/btrfs.ts';
import { ChunkWriter } from '../edge/chunk-writer.ts';
import type { Hasher } from '../edge/hasher.ts';
import { Journal } from '../edge/journal.ts';
import type { PartPool } from '../edge/part-pool.ts';
import { RunDirectory } from '../edge/run-directory.ts';
import { writeOptions } from '../edge/s3-client.ts';
import { openSendStream, type SendStream } from '../edge/send-stream.ts';
import { ChunkUpload, StreamChanged } from './chunk-upload.ts';
import type { Progress, StageContext } from './context.ts';
import { TaskGate } from './task-gate.ts';
import { planUpload, type UploadPlan } from './upload-plan.ts';

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
  const plan = await planUpload(context, run, snapshot);
  const finished = await run.readChunks();
  if (finished && sameUpload(finished.identity, plan.identity)) {
    return { chunks: finished.chunks.length, bytes: finished.stream.bytes, alreadyDone: true };
  }
  const progress = context.startProgress(`upload ${subvolume.name}`);
  try {
    const attempt = (chosen: UploadPlan) => upload(context, run, snapshot, chosen, progress);
    const file = await attempt(plan).catch((error: unknown) => {
      // A stream that differs from a completed chunk of an earlier run makes that run worthless.
      if (!(error instanceof StreamChanged)) throw error;
      context.log.warn(
        `the stream has changed since the last run (${error.message}): the upload begins again`,
      );
      const superseded = plan.earlier ? unfinishedUploads(plan.earlier) : [];
      return attempt({ ...plan, earlier: undefined, superseded });
    });
    await run.writeChunks(file);
    return { chunks: file.chunks.length, bytes: file.stream.bytes, alreadyDone: false };
  } finally {
    progress.stop();
  }
}

/** Opens what the bytes pass through, lets them pass, and closes it again, whatever happens. */
async function upload(
  context: StageContext,
  run: RunDirectory,
  snapshot: SnapshotFile,
  plan: UploadPlan,
  progress: Progress,
): Promise<ChunksFile> {
  const { settings, bucket } = context;
  const startedAt = context.now().toISOString();
  const ending = new AbortController();
  const signal = AbortSignal.any([context.signal, ending.signal]);
  const { pool, hasher } = await context.memory.open(plan.layout.partSizeBytes);
  const events = { onSent: (bytes: number) => progress.add(bytes) };
  const writer = new ChunkWriter(bucket, writeOptions(settings, 'chunks'), events, signal);
  await giveUpUploads(context, writer, snapshot, plan);
  const journal = await Journal.open(run.journalPath, plan.earlier ? 'continue' : 'begin');
  let stream: SendStream | undefined;
  let estimate: Promise<void> | undefined;
  try {
    if (!plan.earlier) await journal.append({ event: 'upload-begun', ...plan.identity });
    stream = await openSendStream(
      {
        snapshotPath: snapshot.snapshot.path,
        parentPath: snapshot.parent?.path,
        compressedData: plan.compressedData,
        directory: run.path,
      },
      signal,
    );
    estimate = showEstimate(context, snapshot, signal, progress);
    const path = { plan, stream, pool, hasher, writer, journal, progress, ending };
    const { chunks, sha256 } = await storeStream(context, snapshot, path);
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
    const protocol = plan.compressedData ? 2 : 1;
    return {
      identity: plan.identity,
      chunks: [...chunks],
      chunk_size: plan.layout.chunkSizeBytes,
      stream: { bytes, sha256, protocol, compressed_data: plan.compressedData },
      started_at: startedAt,
      finished_at: context.now().toISOString(),
    };
  } finally {
    ending.abort();
    await Promise.all([stream?.close(), estimate]);
    await journal.close();
  }
}

/**
 * Parts of an upload that nobody completes are charged for; failing to give it up is no reason not to back up. A run that
 * was killed may have begun one that its journal does not name.
 */
async function giveUpUploads(
  { log, bucket }: StageContext,
  writer: ChunkWriter,
  { subvolume, kind, created_at }: SnapshotFile,
  { earlier, superseded }: UploadPlan,
): Promise<void> {
  const keys = new SubvolumeKeys(bucket.prefix, subvolume);
  const strays = async () => {
    if (!earlier) return [];
    const known = new Set(unfinishedUploads(earlier).map(({ uploadId }) => uploadId));
    const begun = await writer.listUploads(keys.chunks(kind, created_at));
    return begun.filter(({ uploadId }) => !known.has(uploadId));
  };
  const found = await strays().catch((error: unknown) => {
    log.warn(describeError(error));
    return [];
  });
  for (const upload of [...superseded, ...found]) {
    try {
      await writer.abort(upload);
      log.info(`gave up the unfinished upload of ${upload.key}`);
    } catch (error) {
      log.warn(describeError(error));
    }
  }
}

/** What the bytes pass through, in this order. */
interface BytePath {
  readonly plan: UploadPlan;
  readonly stream: SendStream;
  readonly pool: PartPool;
  readonly hasher: Hasher;
  readonly writer: ChunkWriter;
  readonly journal: Journal;
  readonly progress: Progress;
  /** Aborted with the first failure, so that everything else stops. */
  readonly ending: AbortController;
}

/** The way of the bytes: cut, hash, store; chunk after chunk, CONCURRENCY parts at a time. */
async function storeStream(
  context: StageContext,
  snapshot: SnapshotFile,
  { plan, stream, pool, hasher, writer, journal, progress, ending }: BytePath,
): Promise<{ readonly chunks: readonly StoredChunk[]; readonly sha256: string }> {
  const keys = new SubvolumeKeys(context.bucket.prefix, snapshot.subvolume);
  const tools = { writer, journal, hasher, onReused: (bytes: number) => progress.add(bytes) };
  const gate = new TaskGate(context.settings.CONCURRENCY, (error) => ending.abort(error));
  const chunks: Promise<StoredChunk>[] = [];
  let sha256 = '';
  try {
    const onFilled = hasher.update.bind(hasher);
    for await (const { index, parts } of cutIntoChunks(stream, pool, plan.layout, onFilled)) {
      if (index >= maxChunks) {
        throw new ToolError('the stream has more than 100,000 chunks', { hint: 'raise CHUNK_SIZE' });
      }
      const key = keys.chunk(snapshot.kind, snapshot.created_at, index);
      const place = { index, key, partSizeBytes: plan.layout.partSizeBytes };
      const chunk = new ChunkUpload(tools, place, plan.earlier?.chunks.get(index));
      const stored: Promise<void>[] = [];
      let chunkSha256 = '';
      for await (const part of parts) {
        const digests = await hasher.finishPart(part.endsChunk);
        if (part.endsChunk) [chunkSha256, sha256] = [digests.chunk, digests.stream];
        const store = () => chunk.store(part, digests).finally(() => pool.release(part.slot));
        stored.push((await gate.start(store)).done);
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

/** The estimate is a convenience: a backup does not fail because of it. Its child is gone when this is over. */
async function showEstimate(
  { log }: StageContext,
  { snapshot, parent }: SnapshotFile,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  if (signal.aborted) return;
  try {
    const bytes = await estimateNewBytes(snapshot.path, parent?.generation ?? 0, signal);
    progress.expect(bytes);
    log.debug(`about ${formatSize(bytes)} to send`);
  } catch (error) {
    log.debug(`no estimate: ${error}`);
  }
}
