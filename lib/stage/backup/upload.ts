/**
 * The second stage: `btrfs send` → pipe → part → hash → S3 → journal → chunks.json. Memory is bounded by the pool of
 * CONCURRENCY + 1 parts; the stream is cut without being copied; nothing is complete before `btrfs send` has exited 0.
 */

import { ToolError } from '../../core/errors.ts';
import { SubvolumeKeys } from '../../core/format/names.ts';
import type { ChunksFile, SnapshotFile, StoredChunk } from '../../core/format/run-files.ts';
import { differencesOf, replayJournal, withoutChunk } from '../../core/plan/resume.ts';
import type { SelectedSubvolume } from '../../core/settings/rules.ts';
import { cutIntoChunks, type Slot } from '../../core/stream/chunker.ts';
import { MAX_PATH_BYTES, PathTooLong } from '../../core/stream/path-limits.ts';
import type { StreamHead } from '../../core/stream/stream-head.ts';
import { StreamInspector } from '../../core/stream/stream-inspector.ts';
import { formatSize } from '../../core/units.ts';
import { estimateNewBytes, readMtime } from '../../edge/btrfs/btrfs.ts';
import { findLongPath } from '../../edge/btrfs/find-long-path.ts';
import { Journal, readJournal } from '../../edge/files/journal.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { endingWithin } from '../../edge/process/abort-scope.ts';
import { KeyTaken, MayNotReplace } from '../../edge/s3/conditional-write.ts';
import { writeOptions } from '../../edge/s3/s3-client.ts';
import { ChunkUpload, StreamChanged } from '../../transfer/chunk-upload.ts';
import { ChunkWriter } from '../../transfer/chunk-writer.ts';
import type { Hasher } from '../../transfer/hasher.ts';
import type { PartPool } from '../../transfer/part-pool.ts';
import { openSendStream, type SendStream } from '../../transfer/send-stream.ts';
import {
  expectedOfPlan,
  explainStreamError,
  streamProblem,
  UnfitStream,
} from '../../transfer/stream-check.ts';
import { TaskGate } from '../../transfer/task-gate.ts';
import type { Progress } from '../../transfer/transfer-context.ts';
import type { StageContext } from '../context.ts';
import { anotherWriter, mayNotReplace } from './another-writer.ts';
import { giveUpRun } from './give-up-run.ts';
import { giveUpStrays, giveUpUploads } from './give-up-uploads.ts';
import { checkSameSnapshots } from './same-snapshots.ts';
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
  if (finished && differencesOf(finished.identity, plan.identity).length === 0) {
    return { chunks: finished.chunks.length, bytes: finished.stream.bytes, alreadyDone: true };
  }
  const progress = context.startProgress(`upload ${subvolume.name}`);
  try {
    await giveUpUploads(context, plan.superseded);
    if (plan.earlier) await giveUpStrays(context, run, snapshot);
    const attempt = async (chosen: UploadPlan): Promise<ChunksFile> => {
      try {
        return await upload(context, run, snapshot, chosen, progress);
      } catch (error) {
        if (!(error instanceof StreamChanged) || !chosen.earlier) throw error;
        // A complete chunk cannot be changed in one part, and its first parts have passed already.
        context.log.warn(`the stream has changed since the last run: ${error.message}; sending it again`);
        const journal = replayJournal(await readJournal(run.journalPath));
        return attempt({ ...chosen, earlier: withoutChunk(journal, error.chunkIndex), own: journal.own });
      }
    };
    const file = await attempt(plan).catch(async (error: unknown) => {
      // What has become unfit to be sent stays so.
      if (error instanceof UnfitStream) await giveUpRun(context, run, snapshot);
      if (!(error instanceof KeyTaken || error instanceof MayNotReplace)) throw error;
      // Going on would meet the same object again; the next backup has a time, and so keys, of its own.
      await giveUpRun(context, run, snapshot);
      throw error instanceof KeyTaken ? anotherWriter(error.message, error) : mayNotReplace(error);
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
  const { ending, signal } = endingWithin(context.signal);
  const { pool, hasher } = await context.memory.open(plan.layout.partSizeBytes);
  const events = { onSent: (bytes: number) => progress.add(bytes) };
  const writer = new ChunkWriter({ ...bucket, signal }, writeOptions(settings, 'chunks'), events);
  const journal = await Journal.open(run.journalPath);
  let stream: SendStream | undefined;
  let estimate: Promise<void> | undefined;
  try {
    if (!plan.earlier) await journal.append({ event: 'upload-begun', ...plan.identity });
    await checkSameSnapshots(snapshot);
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
    const { chunks, sha256, head, mtime } = await storeStream(context, snapshot, path);
    // Again: the first look was before btrfs send had opened them.
    await checkSameSnapshots(snapshot);
    if (writer.mayHaveStrays) await giveUpStrays(context, run, snapshot);
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
    return {
      identity: plan.identity,
      chunks: [...chunks],
      chunk_size: plan.layout.chunkSizeBytes,
      stream: {
        bytes,
        sha256,
        protocol: head.version,
        compressed_data: plan.compressedData,
        transid: head.transid,
        ...(head.parent && { parent_transid: head.parent.transid }),
        mtime,
      },
      started_at: startedAt,
      finished_at: context.now().toISOString(),
    };
  } catch (error) {
    throw await explainSendFailure(error, snapshot, context.signal);
  } finally {
    ending.abort();
    await Promise.all([stream?.close(), estimate]);
    await journal.close();
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
): Promise<{
  readonly chunks: readonly StoredChunk[];
  readonly sha256: string;
  readonly head: StreamHead;
  readonly mtime: string | undefined;
}> {
  const keys = new SubvolumeKeys(context.bucket.prefix, snapshot.subvolume);
  const onReused = (bytes: number) => progress.add(bytes);
  const onLost = (reason: string) => context.log.warn(`${snapshot.subvolume}: ${reason}`);
  const tools = { writer, journal, hasher, onReused, onLost };
  const gate = new TaskGate(context.settings.CONCURRENCY, (error) => ending.abort(error));
  const chunks: Promise<StoredChunk>[] = [];
  let sha256 = '';
  let mtime: Promise<string> | undefined;
  const inspector = new StreamInspector({
    onHead: (head) => {
      refuseUnfit(head, snapshot);
      // While it is being sent it cannot be made writable.
      mtime = readMtime(snapshot.snapshot.path);
      mtime.catch(() => undefined);
    },
  });
  try {
    const onFilled = (slot: Slot, from: number, to: number) => {
      hasher.update(slot, from, to);
      // It is called by the pipe, which could not report an error.
      if (!ending.signal.aborted) inspect(inspector, slot.bytes.subarray(from, to), snapshot, ending);
    };
    for await (const { index, parts } of cutIntoChunks(stream, pool, plan.layout, onFilled)) {
      if (index >= maxChunks) {
        throw new ToolError('the stream has more than 100,000 chunks', { hint: 'raise CHUNK_SIZE' });
      }
      const key = keys.chunk(snapshot.kind, snapshot.created_at, index);
      const replaces = plan.own.get(key);
      const place = { index, key, partSizeBytes: plan.layout.partSizeBytes, replaces };
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
    const head = endOf(inspector, snapshot);
    return { chunks: await Promise.all(chunks), sha256, head, mtime: await mtime };
  } catch (error) {
    ending.abort(error);
    throw ending.signal.reason;
  } finally {
    await gate.idle();
    await Promise.allSettled(chunks);
  }
}

const pathHint =
  'shorten the name of a directory above it, or move it up, then run make backup again; nothing was published';

/** @throws UnfitStream for one that btrfs receive would not apply to the parent in the state in which it was backed up */
function refuseUnfit(head: StreamHead, snapshot: SnapshotFile): void {
  const isOwnParent = head.uuid === head.parent?.uuid && 'has the UUID of its own parent';
  const problem = streamProblem(head, expectedOfPlan(snapshot)) ?? (isOwnParent || undefined);
  if (problem === undefined) return;
  throw new UnfitStream(`this backup is given up: the stream of ${snapshot.snapshot.path} ${problem}`, {
    hint: 'nothing was published; run make backup: it plans anew',
  });
}

/** btrfs send ends with ENAMETOOLONG at a path that does not fit its buffer of 4096 bytes, and does not say which it is. */
async function explainSendFailure(
  error: unknown,
  { snapshot }: SnapshotFile,
  signal: AbortSignal,
): Promise<unknown> {
  if (!(error instanceof ToolError) || !/File name too long/.test(error.childOutput ?? '')) return error;
  const path = await findLongPath(snapshot.path, MAX_PATH_BYTES, signal).catch(() => undefined);
  return path ? explainStreamError(new PathTooLong(path), `the backup of ${snapshot.path}`, pathHint) : error;
}

function inspect(
  inspector: StreamInspector,
  bytes: Uint8Array,
  { snapshot }: SnapshotFile,
  ending: AbortController,
): void {
  try {
    inspector.push(bytes);
  } catch (error) {
    ending.abort(explainStreamError(error, `the backup of ${snapshot.path}`, pathHint));
  }
}

function endOf(inspector: StreamInspector, { snapshot }: SnapshotFile): StreamHead {
  try {
    return inspector.finish();
  } catch (error) {
    throw explainStreamError(error, `the backup of ${snapshot.path}`, pathHint);
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
