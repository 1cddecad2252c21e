/** What stopped restores have left on a filesystem: named, so that it is clear where the room went, and removed where it is useless. */
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describeError, ToolError } from '../../../core/errors.ts';
import { isStagingName } from '../../../core/format/staging-name.ts';
import { listSubvolumes } from '../../../edge/btrfs/btrfs.ts';
import { btrfsMounts, mountOf, mountsOfSame, pathsOf } from '../../../edge/btrfs/mounts/mounts.ts';
import type { StageContext } from '../../context.ts';
import { describeProgress, removeStaging, targetOf } from './leave.ts';
import { isWorthKeeping } from './record.ts';
import { lockStaging } from './staging.ts';

/**
 * Before a restore: removes what killed restores into the same directory have left and is of no use, and names, on the whole
 * filesystem, those that can go on. A failure is only reported.
 * @param own the staging directory in use
 */
export async function lookForLeftRestores({ log }: StageContext, parent: string, own: string): Promise<void> {
  const beside = (await readdir(parent)).filter(isStagingName).map((name) => join(parent, name));
  for (const path of beside) {
    if (path === own) continue;
    await removeIfUseless(path, (line) => log.warn(line)).catch((error: unknown) =>
      log.warn(`${path} is of a killed restore and could not be removed: ${describeError(error)}`),
    );
  }
  const elsewhere = (await leftOnFilesystemOf(parent)).filter(
    (path) => path !== own && !beside.includes(path),
  );
  for (const path of elsewhere) await nameIfLeft(path, (line) => log.warn(line));
}

/** Names what stopped restores have left on all mounted Btrfs filesystems, as far as this user can see it. */
export async function nameLeftRestores({ log }: Pick<StageContext, 'log'>): Promise<void> {
  // Only root may list subvolumes.
  if (process.getuid?.() !== 0) return;
  const seen = new Set<string>();
  for (const { device, target } of await btrfsMounts()) {
    if (seen.has(device)) continue;
    seen.add(device);
    for (const path of await leftOnFilesystemOf(target)) await nameIfLeft(path, (line) => log.warn(line));
  }
}

/** Staging directories that hold subvolumes, by paths at which they can be reached; none where that cannot be seen. */
async function leftOnFilesystemOf(path: string): Promise<readonly string[]> {
  const listed = await listSubvolumes(path).catch((error: unknown) => {
    if (error instanceof ToolError) return [];
    throw error;
  });
  const places = new Set(
    listed
      .map((subvolume) => dirname(subvolume.path))
      .filter((place) => isStagingName(place.split('/').at(-1) ?? '')),
  );
  if (places.size === 0) return [];
  const mounts = await mountsOfSame(await mountOf(path));
  return [...places].flatMap((place) => pathsOf(`/${place}`, mounts).slice(0, 1));
}

async function nameIfLeft(path: string, report: (line: string) => void): Promise<void> {
  const staging = await lockStaging(path).catch(() => undefined);
  // One that is in use is no business of ours.
  if (!staging || staging === 'gone') return;
  try {
    const record = await staging.readRecord();
    if (record && (await isWorthKeeping(record))) {
      report(unfinished(path, describeProgress(record), record.subvolume, targetOf(path, record)));
    } else report(`${path} is of a killed restore: the next restore into ${dirname(path)} removes it`);
  } finally {
    await staging.close();
  }
}

async function removeIfUseless(path: string, report: (line: string) => void): Promise<void> {
  const staging = await lockStaging(path);
  if (!staging || staging === 'gone') return;
  try {
    const record = await staging.readRecord();
    if (record && (await isWorthKeeping(record))) {
      report(unfinished(path, describeProgress(record), record.subvolume, targetOf(path, record)));
      return;
    }
    await removeStaging(staging);
    report(`removed ${path}, which a killed restore had left`);
  } finally {
    await staging.close();
  }
}

function unfinished(path: string, progress: string, subvolume: string, target: string): string {
  return `an unfinished restore is kept in ${path}: ${progress}; make restore SUBVOLUME=${subvolume} TARGET=${target} continues it, ABANDON=1 removes it`;
}
