/** What an earlier run of this host left unfinished, as far as it can be read; what is damaged is set aside, and its backup begins anew. */
import type { ChunksFile, SnapshotFile } from '../../core/format/run-files.ts';
import { DamagedFile } from '../../edge/files/files.ts';
import type { RunDirectory } from '../../edge/files/run-directory.ts';
import type { FoundPointer } from '../bucket/backups.ts';
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
  const { bucket, log, now } = context;
  const file = await readOrSetAside(context, run, 'snapshot.json', () => run.readSnapshot(), isDryRun);
  if (!file) return undefined;
  const chunks = await readOrSetAside(context, run, 'chunks.json', () => run.readChunks(), isDryRun);
  const found = await findManifest(bucket, file, chunks);
  if (found && 'theirs' in found) return { file, obstacle: found.theirs };
  const manifest_key = manifestKeyOf(bucket, file);
  const isPublished =
    found && pointer && 'pointer' in pointer && pointer.pointer.manifest_key === manifest_key;
  if (!isPublished) return { file, obstacle: undefined };
  log.info(`${manifest_key} was published by the last run`);
  if (!isDryRun) {
    const { server, name, prefix } = bucket;
    await run.finish({ manifest_key, published_at: now().toISOString(), server, bucket: name, prefix });
  }
  return undefined;
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
