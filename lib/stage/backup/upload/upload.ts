/**
 * The second stage: `btrfs send` → its check → chunks in the bucket → chunks.json. Memory is bounded by the pool of
 * CONCURRENCY + 1 parts; the stream is cut without being copied; nothing is complete before `btrfs send` has exited 0.
 */

import { ToolError } from '../../../core/errors.ts';
import { SubvolumeKeys } from '../../../core/format/names.ts';
import type { ChunksFile, SnapshotFile } from '../../../core/format/run-files.ts';
import { differencesOf } from '../../../core/plan/resume.ts';
import type { SelectedSubvolume } from '../../../core/settings/rules.ts';
import { Journal } from '../../../edge/files/journal.ts';
import { RunDirectory } from '../../../edge/files/run-directory.ts';
import { endingWithin } from '../../../edge/process/abort-scope.ts';
import { KeyTaken, MayNotReplace } from '../../../edge/s3/conditional-write.ts';
import { UploadEnded } from '../../../transfer/out/chunk-object.ts';
import { openSendStream, type SendStream } from '../../../transfer/out/send-stream.ts';
import { storeStream } from '../../../transfer/out/store-stream.ts';
import { UnfitStream } from '../../../transfer/stream-check.ts';
import type { StageContext } from '../../context.ts';
import { probeOnce } from '../probe-server.ts';
import { anotherWriter, mayNotReplace } from '../publish/another-writer.ts';
import { findManifest } from '../publish/own-manifest.ts';
import { finishPublished, isLastPublished, readFinishedUpload } from '../unfinished.ts';
import { Attempts } from './another-attempt.ts';
import { CheckedStream } from './checked-stream.ts';
import { describeCodec } from './describe-codec.ts';
import { endedUpload, warnOfShortRule } from './ended-upload.ts';
import { giveUpRun } from './give-up-run.ts';
import { giveUpStrays, giveUpUploads } from './give-up-uploads.ts';
import { RateMeter } from './rate-meter.ts';
import { checkSameSnapshots } from './same-snapshots.ts';
import { openStoring, type Storing } from './storing.ts';
import { StreamExpectation } from './stream-expectation.ts';
import { planUpload, type UploadPlan } from './upload-plan.ts';

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
  const finished = await readFinishedUpload(context, run);
  const done = await whatIsDone(context, run, snapshot, { plan, finished });
  if (done) return done;
  await probeOnce(context, subvolume.name);
  const progress = context.startProgress(`upload ${subvolume.name}`);
  try {
    await giveUpUploads(context, plan.superseded);
    if (plan.earlier) await giveUpStrays(context, run, snapshot);
    const attempts = new Attempts(context, run, snapshot);
    const attempt = async (chosen: UploadPlan): Promise<ChunksFile> => {
      const meter = new RateMeter(progress);
      try {
        return await upload(context, run, snapshot, chosen, meter);
      } catch (error) {
        const next = await attempts.planAnother(chosen, error);
        meter.takeBack();
        await giveUpStrays(context, run, snapshot);
        return attempt(next);
      }
    };
    const file = await attempt(plan).catch(async (error: unknown) => {
      // What has become unfit to be sent stays so.
      if (error instanceof UnfitStream) await giveUpRun(context, run, snapshot);
      if (error instanceof UploadEnded) throw await endedUpload(context, error);
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

/**
 * Looks at whether there is anything to upload, and whether the manifest of this backup is in the bucket: the chunks that one names must
 * never be written over, and where another's is, nothing that is sent could be published.
 * @returns what an earlier run has uploaded; undefined when there is something to do.
 * @throws ToolError when this backup is given up.
 */
async function whatIsDone(
  context: StageContext,
  run: RunDirectory,
  snapshot: SnapshotFile,
  { plan, finished }: { readonly plan: UploadPlan; readonly finished: ChunksFile | undefined },
): Promise<UploadOutcome | undefined> {
  const found = await findManifest(context.bucket, snapshot, finished);
  const isSame = finished && differencesOf(finished.identity, plan.identity).length === 0;
  const earlier = finished && outcomeOf(finished.chunks, finished.stream.bytes);
  if (!found) return isSame ? earlier : undefined;
  if ('ours' in found) {
    if (earlier) return earlier;
    // A run that ended while it removed its files: giving it up would delete the snapshot that the next backup builds on.
    if (await isLastPublished(context, snapshot)) {
      await finishPublished(context, run, snapshot);
      return outcomeOf(found.ours.chunks, found.ours.stream?.bytes ?? found.ours.total_bytes);
    }
    if (plan.earlier) return undefined;
  }
  await giveUpRun(context, run, snapshot);
  if ('theirs' in found) throw anotherWriter(found.theirs);
  throw new ToolError(
    `the backup of ${snapshot.created_at} is in the bucket, and not the last one: it is given up`,
    {
      hint: 'run make backup: it begins another one',
    },
  );
}

function outcomeOf({ length }: { readonly length: number }, bytes: number): UploadOutcome {
  return { chunks: length, bytes, alreadyDone: true };
}

/** Opens what the bytes pass through, lets them pass, and closes it again, whatever happens. */
async function upload(
  context: StageContext,
  run: RunDirectory,
  snapshot: SnapshotFile,
  plan: UploadPlan,
  meter: RateMeter,
): Promise<ChunksFile> {
  const { settings } = context;
  const startedAt = context.now().toISOString();
  const { ending, signal } = endingWithin(context.signal);
  const memory = await context.memory.open(plan.layout.partSizeBytes);
  const checked = new CheckedStream(snapshot);
  const journal = await Journal.open(run.journalPath);
  let storing: Storing | undefined;
  let stream: SendStream | undefined;
  const expectation = new StreamExpectation(context, snapshot);
  let estimate: Promise<void> | undefined;
  try {
    if (!plan.earlier) await journal.append({ event: 'upload-begun', ...plan.identity });
    storing = await openStoring(context, { snapshot, plan, memory, journal, progress: meter, signal });
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
    const { upload_rate: rate } = (await run.readPublished()) ?? {};
    const { chunkSizeBytes } = plan.layout;
    const looked = expectation.look(plan.compressedData, signal, meter);
    estimate = warnAhead(context, snapshot, { looked, chunkSizeBytes, rate });
    const stored = await storeStream({
      source: stream,
      memory,
      layout: plan.layout,
      concurrency: settings.CONCURRENCY,
      inspect: (bytes) => {
        checked.inspect(bytes);
        expectation.compare(checked.bytes);
      },
      storeChunk: storing.storeChunk,
      ending,
    });
    const { head, demands, mtime } = await checked.finish();
    expectation.conclude(checked.bytes);
    // Again: the first look was before btrfs send had opened them.
    await checkSameSnapshots(snapshot);
    if (storing.writer.mayHaveStrays) await giveUpStrays(context, run, snapshot);
    // What an earlier run had sent took no time.
    const measured = plan.earlier ? undefined : meter.rate;
    const { sha256, ...codec } = await describeCodec(plan.encoding, snapshot, stored);
    return {
      identity: plan.identity,
      chunks: [...stored.chunks],
      chunk_size: plan.layout.chunkSizeBytes,
      stream: {
        bytes: checked.bytes,
        ...(sha256 !== undefined && { sha256 }),
        protocol: head.version,
        compressed_data: plan.compressedData,
        ...demands,
        transid: head.transid,
        ...(head.parent && { parent_transid: head.parent.transid }),
        mtime,
      },
      ...codec,
      ...(measured !== undefined && { rate: measured }),
      started_at: startedAt,
      finished_at: context.now().toISOString(),
    };
  } catch (error) {
    throw await checked.explainSendFailure(error, context.signal);
  } finally {
    ending.abort();
    await Promise.all([stream?.close(), estimate]);
    storing?.close();
    await journal.close();
  }
}

/** What the length of a stream is held against. */
interface Ahead {
  /** Bytes that are expected. */
  readonly looked: Promise<number | undefined>;
  readonly chunkSizeBytes: number;
  /** Bytes a second of the last upload that was long enough to measure. */
  readonly rate: number | undefined;
}

/** What follows from the expected length is a convenience: a backup does not fail because of it. */
async function warnAhead(
  context: StageContext,
  { subvolume, kind, created_at }: SnapshotFile,
  { looked, chunkSizeBytes, rate }: Ahead,
): Promise<void> {
  const streamBytes = await looked;
  if (streamBytes === undefined || rate === undefined) return;
  try {
    const chunks = new SubvolumeKeys(context.bucket.prefix, subvolume).chunks(kind, created_at);
    await warnOfShortRule(context, subvolume, chunks, { streamBytes, chunkSizeBytes, rate });
  } catch (error) {
    context.log.debug(`the lifecycle rules cannot be held against the upload: ${error}`);
  }
}
