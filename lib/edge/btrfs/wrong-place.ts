/** Why a path is not what it has to be: most often the filesystem that belongs there is not mounted. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { ToolError } from '../../core/errors.ts';
import { command } from '../process/child.ts';

const listing = z.object({ filesystems: z.array(z.object({ target: z.string(), source: z.string() })) });

/**
 * Refuses a path that lies in a filesystem which fstab(5) names and which is not mounted: what is there instead, an empty directory or
 * nothing, says nothing of it. To be called where something is wrong with the path.
 * @throws ToolError
 */
export async function refuseUnmounted(path: string): Promise<void> {
  const known = await command`findmnt --fstab --list --json -o TARGET,SOURCE`;
  if (known.exitCode !== 0) return;
  const { data } = listing.safeParse(JSON.parse(known.stdout));
  const [place] = (data?.filesystems ?? [])
    .filter(({ target }) => target.startsWith('/') && isWithin(path, target))
    .sort((one, other) => other.target.length - one.target.length);
  if (!place || (await command`findmnt --mountpoint ${place.target}`).exitCode === 0) return;
  throw new ToolError(
    `${path} lies in ${place.target}, which is not mounted (${place.source} by /etc/fstab)`,
    { hint: `mount it, and run again: mount ${place.target}` },
  );
}

/**
 * The error for a path that is there and is no subvolume.
 * @param filesystem what the path is on
 * @throws ToolError where its filesystem is not mounted
 */
export async function notASubvolume(
  path: string,
  filesystem: { readonly source: string; readonly type: string },
): Promise<ToolError> {
  await refuseUnmounted(path);
  const { source, type } = filesystem;
  const what = `${path} is not a Btrfs subvolume`;
  if (type !== 'btrfs') {
    return new ToolError(`${what}: it is on ${type} (${source})`, {
      hint: 'mount the Btrfs filesystem that belongs there, or check SUBVOLUMES',
    });
  }
  const holder = await holderOf(path);
  const kind = (await stat(path)).isDirectory() ? 'a plain directory' : 'a file';
  const instead = 'or move its files into a new one: btrfs subvolume create';
  return new ToolError(`${what}: it is ${kind}`, {
    hint: `name the subvolume that holds it, ${holder ? `${holder}, ` : ''}${instead}`,
  });
}

/** The subvolume that a path lies in, by its inode number; undefined where that is mounted only in part. */
async function holderOf(path: string): Promise<string | undefined> {
  const { dev } = await stat(path, { bigint: true });
  for (let at = dirname(path); ; at = dirname(at)) {
    const status = await stat(at, { bigint: true });
    if (status.dev !== dev) return undefined;
    if (status.ino === subvolumeRootInode) return at;
    if (at === '/') return undefined;
  }
}

/** Inode number of every subvolume's root (linux/btrfs_tree.h, BTRFS_FIRST_FREE_OBJECTID). */
export const subvolumeRootInode = 256n;

function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}
