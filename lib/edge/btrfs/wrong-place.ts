/** Why a path is not what it has to be: most often the filesystem that belongs there is not mounted. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { refuseMissingMount } from './mounts/missing-mount.ts';

/**
 * The error for a path that is there and is no subvolume.
 * @param filesystem what the path is on
 * @throws ToolError where its filesystem is not mounted
 */
export async function notASubvolume(
  path: string,
  filesystem: { readonly source: string; readonly type: string },
): Promise<ToolError> {
  await refuseMissingMount('', path);
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
