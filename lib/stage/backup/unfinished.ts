/** What an earlier run of this host left unfinished, as far as it can be read; what is damaged is set aside, and its backup begins anew. */
import type { ChunksFile, SnapshotFile } from '../../core/format/run-files.ts';
import { DamagedFile } from '../../edge/files/files.ts';
import type { RunDirectory } from '../../edge/files/run-directory.ts';
import { type FoundPointer, readPointer } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';
import { findManifest, manifestKeyOf } from './publish/own-manifest.ts';

/** A backup that is not published. */
export interface UnfinishedBackup {
  readonly file: SnapshotFile;
  /** Why it can never be published; undefined when nothing of that is known. */
  readonly obstacle: string | undefined;
}

/**
 * Reads what was planned and not published. A run that ended between its publish and its last words is finished here: to upload it
 * again could only do harm to what is published.
 * @throws ToolError when RUN_DIR or the bucket cannot be read.
 */
export async function findUnfinished(
  context: StageContext,
  run: RunDirectory,
  pointer: FoundPointer,
  isDryRun: boolean,
): Promise<UnfinishedBackup | undefined> {
  const { bucket } = context;
  const file = await readOrSetAside(context, run, 'snapshot.json', () => run.readSnapshot(), isDryRun);
  if (!file) return undefined;
  const chunks = await readOrSetAside(context, run, 'chunks.json', () => run.readChunks(), isDryRun);
  const found = await findManifest(bucket, file, chunks);
  if (found && 'theirs' in found) return { file, obstacle: found.theirs };
  if (!found || !isNamed(context, file, pointer)) return { file, obstacle: undefined };
  if (!isDryRun) await finishPublished(context, run, file);
  return undefined;
}

/** Whether the pointer names the backup of a run. */
function isNamed({ bucket }: StageContext, file: SnapshotFile, pointer: FoundPointer): boolean {
  return (
    pointer !== undefined &&
    'pointer' in pointer &&
    pointer.pointer.manifest_key === manifestKeyOf(bucket, file)
  );
}

/** Ends the run of a backup that is published: its files go, and its snapshot stays. */
export async function finishPublished(
  { bucket, log, now }: StageContext,
  run: RunDirectory,
  file: SnapshotFile,
): Promise<void> {
  const manifest_key = manifestKeyOf(bucket, file);
  log.info(`${manifest_key} was published by the last run`);
  const { server, name, prefix } = bucket;
  const published_at = now().toISOString();
  const { upload_rate } = (await run.readPublished()) ?? {};
  await run.finish({ manifest_key, published_at, server, bucket: name, prefix, upload_rate });
}

/**
 * Whether a backup whose manifest stands in the bucket is the last one: then its run is over, and its snapshot is what the next backup
 * builds on. Of the run files any may be gone, since they are removed one by one.
 * @throws ToolError when the pointer cannot be read: what is not known to be superfluous is not deleted
 */
export async function isLastPublished(context: StageContext, file: SnapshotFile): Promise<boolean> {
  return isNamed(context, file, await readPointer(context.bucket, file.subvolume));
}

/** Reads the finished upload of a run; undefined when there is none, and after a warning when it is damaged. */
export function readFinishedUpload(
  context: StageContext,
  run: RunDirectory,
): Promise<ChunksFile | undefined> {
  return readOrSetAside(context, run, 'chunks.json', () => run.readChunks(), false);
}

async function readOrSetAside<File>(
  { log }: StageContext,
  run: RunDirectory,
  name: 'snapshot.json' | 'chunks.json',
  read: () => Promise<File | undefined>,
  isDryRun: boolean,
): Promise<File | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    const aside = isDryRun ? 'would be set aside' : `is kept as ${await run.setAside(name)}`;
    const next = {
      'snapshot.json': 'its backup begins anew',
      'chunks.json': 'the upload looks at each part again',
    };
    log.warn(`${error.message}: it ${aside}, and ${next[name]}`);
    return undefined;
  }
}
