/** Abandons a backup: aborts its uploads, and deletes its snapshot unless another program took it. */

import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { replayJournal } from '../../../core/plan/resume.ts';
import { deleteSubvolume, subvolumeAt } from '../../../edge/btrfs/btrfs.ts';
import { lookAtFilesystem } from '../../../edge/btrfs/whole-filesystem.ts';
import { pathExists } from '../../../edge/files/files.ts';
import { readJournal } from '../../../edge/files/journal.ts';
import type { RunDirectory } from '../../../edge/files/run-directory.ts';
import type { StageContext } from '../../context.ts';
import { giveUpUploads, uploadsIn } from './give-up-uploads.ts';

/**
 * Aborts the uploads that the journal names, deletes the snapshot if we took it, and removes the run files.
 * @throws ToolError when snapshot or run files cannot be removed.
 */
export async function giveUpRun(
  context: StageContext,
  run: RunDirectory,
  { snapshot, adopted }: SnapshotFile,
): Promise<void> {
  await giveUpUploads(context, uploadsIn(context, replayJournal(await readJournal(run.journalPath))));
  const { SNAPSHOT_DIR: directory } = context.settings;
  // SNAPSHOT_DIR may have changed since, be unset, or have moved.
  const found = adopted
    ? undefined
    : ((await subvolumeWithUuid(snapshot, directory)) ?? (await subvolumeAt(snapshot.path, snapshot.name)));
  // One that was made writable is in use.
  if (found?.uuid === snapshot.uuid && found.readOnly) await deleteSubvolume(found.path);
  else if (found?.uuid === snapshot.uuid) context.log.warn(`${found.path} was made writable: it is kept`);
  await run.clear();
}

/** A snapshot that has our name for it, on the filesystem of a directory. What no mount shows stays. */
async function subvolumeWithUuid({ uuid, name }: SnapshotFile['snapshot'], directory: string | undefined) {
  if (directory === undefined || !(await pathExists(directory))) return undefined;
  const found = await (await lookAtFilesystem(directory)).find(uuid).catch(() => undefined);
  return found?.name === name ? found : undefined;
}
