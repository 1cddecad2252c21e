/** What is backed up, and where its snapshots go: judged by the code that plans backups. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { endsAsSnapshotName, isSubvolumeName, parseSnapshotName } from '../../../../core/format/names.ts';
import { shellWord } from '../../../../core/recovery/shell-word.ts';
import type { SelectedSubvolume } from '../../../../core/settings/rules.ts';
import { formatCount } from '../../../../core/units.ts';
import { subvolumeAt } from '../../../../edge/btrfs/btrfs.ts';
import { activeSwapFiles } from '../../../../edge/btrfs/swap-files.ts';
import { RunDirectory } from '../../../../edge/files/run-directory.ts';
import { openSource } from '../../../backup/snapshot-source.ts';
import { broken, type Check, doubtful, type Finding, fine, listen } from '../check.ts';
import type { Patient } from '../patient.ts';

/** A check for each subvolume, and one of SNAPSHOT_DIR. */
export function sourceChecks(patient: Patient): readonly Check[] {
  const { SUBVOLUMES, SNAPSHOT_DIR, RUN_DIR } = patient.settings;
  return [
    ...(SUBVOLUMES ?? []).map((selected) => ({
      name: `subvolume ${selected.name}`,
      look: () => lookAtSource(patient, selected),
    })),
    ...(SNAPSHOT_DIR === undefined
      ? []
      : [{ name: 'SNAPSHOT_DIR', look: () => lookAtSnapshotDir(SNAPSHOT_DIR, { SUBVOLUMES, RUN_DIR }) }]),
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
          `move it into a subvolume of its own, after this: swapoff ${shellWord(file)}`,
        ),
      );
    }
    if (isReceived) {
      found.push(
        doubtful(
          `${path} is writable and has a received UUID, as older btrfs-progs left it: other tools take it for what it was received as`,
          `continue with a snapshot of it, which has none: btrfs subvolume snapshot ${shellWord(path)} ${shellWord(`${path}.new`)}`,
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

/** What tells whose snapshots are in SNAPSHOT_DIR. */
type Owner = Pick<Patient['settings'], 'SUBVOLUMES' | 'RUN_DIR'>;

async function lookAtSnapshotDir(directory: string, owner: Owner): Promise<readonly Finding[]> {
  const status = await stat(directory).catch(() => undefined);
  // Each subvolume says that it is missing.
  if (!status) return [];
  const found = [...(await findLeft(directory, owner))];
  const mode = status.mode & 0o777;
  if ((mode & 0o077) !== 0) {
    found.push(
      doubtful(
        `others can look into ${directory} (mode ${mode.toString(8)}), where files stay that were deleted or locked up since`,
        `chmod 700 ${shellWord(directory)}`,
      ),
    );
  }
  return found.length > 0 ? found : [fine(`${directory} is for its owner alone`)];
}

/**
 * Snapshots of subvolumes that were taken out of SUBVOLUMES, or are called otherwise by now: no backup thins them. A host that backs nothing
 * up does not know; and on what was restored to continue its chain the next backup will build, as soon as SUBVOLUMES names it.
 */
async function findLeft(
  directory: string,
  { SUBVOLUMES: selected, RUN_DIR }: Owner,
): Promise<readonly Finding[]> {
  if (!selected) return [];
  const names = (await readdir(directory).catch((): string[] => [])).filter(endsAsSnapshotName);
  const unnamed = names.filter((name) => !selected.some((each) => parseSnapshotName(each.name, name)));
  const continued = unnamed.length > 0 ? await continuedSnapshots(RUN_DIR) : [];
  const left: string[] = [];
  for (const name of unnamed) {
    const uuid = continued.length > 0 ? (await subvolumeAt(join(directory, name), name))?.uuid : undefined;
    if (uuid === undefined || !continued.includes(uuid)) left.push(name);
  }
  const [first] = left;
  if (first === undefined) return [];
  const which = formatCount(left.length, 'snapshot');
  const isOne = left.length === 1;
  const command = `btrfs subvolume delete ${shellWord(join(directory, first))}`;
  return [
    doubtful(
      `${which} in ${directory}, such as ${first}, of no subvolume that SUBVOLUMES names: no backup deletes ${isOne ? 'it' : 'them'}, and what was deleted since stays on the disk`,
      `where no other settings file needs ${isOne ? 'it' : 'them, this one and then the others'}: ${command}`,
    ),
  ];
}

/** UUIDs of what was restored here to continue its chain. */
async function continuedSnapshots(runDirectory: string): Promise<readonly string[]> {
  const names = (await readdir(runDirectory).catch((): string[] => [])).filter(isSubvolumeName);
  const files = await Promise.all(names.map((name) => new RunDirectory(runDirectory, name).readContinued()));
  return files.flatMap((file) => file?.snapshot_uuid ?? []);
}
