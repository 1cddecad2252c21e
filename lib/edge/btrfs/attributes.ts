/** Attributes of directories that pass on: locks, as chattr(1) sets them and snapshots inherit them of their source, and compression. */
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { command } from '../process/child.ts';
import { subvolumeRootInode } from './wrong-place.ts';

/** What stands in the way of a deletion. */
export type Lock = 'immutable' | 'append-only';

const letters: Readonly<Record<Lock, string>> = { immutable: 'i', 'append-only': 'a' };

/** The option of chattr(1) for an attribute, without its sign. */
export function letterOf(lock: Lock): string {
  return letters[lock];
}

/** The locks on a directory itself; none where lsattr(1) is not installed or cannot tell. */
export async function locksOn(path: string): Promise<readonly Lock[]> {
  const listed = await command`lsattr -d -- ${path}`;
  const [attributes = ''] = listed.exitCode === 0 ? listed.stdout.split(' ') : [];
  return (Object.keys(letters) as Lock[]).filter((lock) => attributes.includes(letters[lock]));
}

/**
 * Takes the locks off a subvolume, which has to be made writable for that.
 * @returns what makes it read-only again if it was; undefined when there is no lock, or it cannot be taken off: then it is as it was.
 */
export async function unlockSubvolume(path: string): Promise<(() => Promise<unknown>) | undefined> {
  const locks = await locksOn(path);
  if (locks.length === 0) return undefined;
  const asked = await command`btrfs property get -t subvol -- ${path} ro`;
  const isReadOnly = asked.stdout.includes('ro=true');
  const setReadOnly = (to: boolean) => command`btrfs property set -t subvol -- ${path} ro ${String(to)}`;
  const settle = async () => isReadOnly && (await setReadOnly(true));
  if (isReadOnly && (await setReadOnly(false)).exitCode !== 0) return undefined;
  const changed = await command`chattr ${locks.map((lock) => `-${letterOf(lock)}`)} -- ${path}`;
  if (changed.exitCode === 0) return settle;
  await settle();
  return undefined;
}

/**
 * Whether a subvolume that is made in a directory has a compression property from the start: that of the subvolume in which the directory
 * lies. True also where no mount shows the top of that one.
 */
export async function passesCompressionOn(directory: string): Promise<boolean> {
  const top = await topOfSubvolume(await realpath(directory));
  if (top === undefined) return true;
  const asked = await command`btrfs property get -t inode -- ${top} compression`;
  return asked.exitCode !== 0 || asked.stdout.trim() !== '';
}

/** The directory at the top of the subvolume that a directory lies in; undefined where another mount comes first. */
async function topOfSubvolume(directory: string): Promise<string | undefined> {
  const { dev, ino } = await stat(directory, { bigint: true });
  if (ino === subvolumeRootInode) return directory;
  const above = dirname(directory);
  // Each subvolume has a device number of its own.
  return (await stat(above, { bigint: true })).dev === dev && above !== directory
    ? topOfSubvolume(above)
    : undefined;
}
