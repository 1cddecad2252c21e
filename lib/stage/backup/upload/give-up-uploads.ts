/**
 * Multipart uploads of ours that will never be completed: their parts are charged for. Those of others are never touched. One that
 * cannot be aborted is reported, and does not stop the backup.
 */
import { describeError } from '../../../core/errors.ts';
import { SubvolumeKeys } from '../../../core/format/names.ts';
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { type EarlierUpload, replayJournal, unfinishedUploads } from '../../../core/plan/resume.ts';
import { readJournal } from '../../../edge/files/journal.ts';
import type { RunDirectory } from '../../../edge/files/run-directory.ts';
import { abortUpload, listUploads, type MultipartUpload } from '../../../edge/s3/multipart-uploads.ts';
import type { StageContext } from '../../context.ts';

/** The unfinished uploads of a journal, if they are in this bucket; those in another bucket are reported. */
export function uploadsIn({ bucket, log }: StageContext, journal: EarlierUpload): readonly MultipartUpload[] {
  const { identity } = journal;
  const unfinished = unfinishedUploads(journal);
  if (identity?.server === bucket.server && identity.bucket === bucket.name) return unfinished;
  for (const { key } of unfinished) {
    log.warn(
      `the unfinished upload of ${key} stays in bucket ${identity?.bucket} (${identity?.server}): end it there, or have a lifecycle rule do it`,
    );
  }
  return [];
}

/** Aborts these. */
export async function giveUpUploads(
  { log, bucket }: StageContext,
  uploads: readonly MultipartUpload[],
): Promise<void> {
  for (const upload of uploads) {
    try {
      await abortUpload(bucket, upload);
      log.info(`aborted the unfinished upload of ${upload.key}`);
    } catch (error) {
      bucket.signal.throwIfAborted();
      log.warn(describeError(error));
    }
  }
}

/** Aborts the uploads of one backup that its journal does not name: a run may be killed before it has recorded one. */
export async function giveUpStrays(
  context: StageContext,
  run: RunDirectory,
  { subvolume, kind, created_at }: SnapshotFile,
): Promise<void> {
  const { bucket, log } = context;
  const journal = replayJournal(await readJournal(run.journalPath));
  const known = new Set(unfinishedUploads(journal).map(({ uploadId }) => uploadId));
  const keys = new SubvolumeKeys(bucket.prefix, subvolume);
  const begun = await listUploads(bucket, keys.chunks(kind, created_at)).catch((error: unknown) => {
    bucket.signal.throwIfAborted();
    log.warn(describeError(error));
    return [];
  });
  await giveUpUploads(
    context,
    begun.filter(({ uploadId }) => !known.has(uploadId)),
  );
}
