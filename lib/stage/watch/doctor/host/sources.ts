/** What is backed up, and where its snapshots go: judged by the code that plans backups. */
import { stat } from 'node:fs/promises';
import type { SelectedSubvolume } from '../../../../core/settings/rules.ts';
import { formatCount } from '../../../../core/units.ts';
import { activeSwapFiles } from '../../../../edge/btrfs/swap-files.ts';
import { openSource } from '../../../backup/snapshot-source.ts';
import { broken, type Check, doubtful, type Finding, fine, listen } from '../check.ts';
import type { Patient } from '../patient.ts';

/** A check for each subvolume, and one of SNAPSHOT_DIR. */
export function sourceChecks(patient: Patient): readonly Check[] {
  const { SUBVOLUMES = [], SNAPSHOT_DIR } = patient.settings;
  return [
    ...SUBVOLUMES.map((selected) => ({
      name: `subvolume ${selected.name}`,
      look: () => lookAtSource(patient, selected),
    })),
    ...(SNAPSHOT_DIR === undefined
      ? []
      : [{ name: 'SNAPSHOT_DIR', look: () => lookAtSnapshotDir(SNAPSHOT_DIR) }]),
  ];
}

async function lookAtSource(
  { settings, now }: Patient,
  selected: SelectedSubvolume,
): Promise<readonly Finding[]> {
  const { log, warnings } = listen();
  const source = await openSource({ settings, log, now }, selected);
  const found = [...warnings];
  if ('takeOf' in source.next) {
    const { takeOf: path, isReceived } = source.next;
    for (const file of await activeSwapFiles(path)) {
      found.push(
        broken(
          `${path} holds the active swap file ${file}, so that no snapshot of it can be taken`,
          `swapoff ${file}, and move it into a subvolume of its own`,
        ),
      );
    }
    if (isReceived) {
      found.push(
        doubtful(
          `${path} is writable and has a received UUID, as older btrfs-progs left it: other tools take it for what it was received as`,
          `continue with a snapshot of it, which has none: btrfs subvolume snapshot ${path} ${path}.new`,
        ),
      );
    }
  }
  if (found.length > 0) return found;
  if ('adopt' in source.next) return [fine(`the newest snapshot is ${source.next.adopt.path}`)];
  const own = source.here.filter(({ parentUuid }) => parentUuid === source.subvolume.uuid).length;
  return [
    fine(`${source.next.takeOf} can be backed up; ${formatCount(own, 'snapshot')} of it in SNAPSHOT_DIR`),
  ];
}

async function lookAtSnapshotDir(directory: string): Promise<readonly Finding[]> {
  const status = await stat(directory).catch(() => undefined);
  // Each subvolume says that it is missing.
  if (!status) return [];
  const mode = status.mode & 0o777;
  if ((mode & 0o077) === 0) return [fine(`${directory} is for its owner alone`)];
  return [
    doubtful(
      `others can look into ${directory} (mode ${mode.toString(8)}), where files stay that were deleted or locked up since`,
      `chmod 700 ${directory}`,
    ),
  ];
}
