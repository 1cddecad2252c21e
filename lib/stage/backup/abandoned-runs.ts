/** Backups that were begun and that no run resumes, because SUBVOLUMES does not name them any more: one may come back, so none is given up by itself. */
import { readdir } from 'node:fs/promises';
import { isSubvolumeName, readableTimestamp } from '../../core/format/names.ts';
import type { SnapshotFile } from '../../core/format/run-files.ts';
import { shellWord } from '../../core/recovery/shell-word.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import type { StageContext } from '../context.ts';

/** Whether a run would resume what is begun of a subvolume. A host that backs nothing up does not know. */
export function isResumed({ SUBVOLUMES }: Pick<SettingValues, 'SUBVOLUMES'>, subvolume: string): boolean {
  return SUBVOLUMES === undefined || SUBVOLUMES.some(({ name }) => name === subvolume);
}

/** What is left, and what keeps it, as two clauses: the second is what to do. */
export function describeAbandoned(
  { RUN_DIR }: Pick<SettingValues, 'RUN_DIR'>,
  { subvolume, kind, created_at, snapshot, adopted }: SnapshotFile,
): { readonly says: string; readonly cure: string } {
  const run = shellWord(new RunDirectory(RUN_DIR, subvolume).path);
  const giveUp = 'to give it up (make prune removes what it has stored after 7 days)';
  const steps = adopted
    ? `: rm -r ${run}`
    : `, where no other settings file needs its snapshot: btrfs subvolume delete ${shellWord(snapshot.path)}; rm -r ${run}`;
  return {
    says: `the ${kind} backup of ${subvolume} of ${readableTimestamp(created_at)} is not finished, and SUBVOLUMES does not name ${subvolume} any more`,
    cure: `name it again, and make backup resumes it; ${giveUp}${steps}`,
  };
}

/** Warns of each. */
export async function warnOfAbandoned({
  settings,
  log,
}: Pick<StageContext, 'settings' | 'log'>): Promise<void> {
  for (const name of await readdir(settings.RUN_DIR).catch((): string[] => [])) {
    if (!isSubvolumeName(name) || isResumed(settings, name)) continue;
    // What cannot be read is reported where it is needed.
    const file = await new RunDirectory(settings.RUN_DIR, name).readSnapshot().catch(() => undefined);
    if (!file) continue;
    const { says, cure } = describeAbandoned(settings, file);
    log.warn(`${says}: ${cure}`);
  }
}
