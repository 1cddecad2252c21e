/** Where a filesystem is mounted, and by which paths a place in it can be reached: it may be seen at several, and at none. */
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { ToolError } from '../../../core/errors.ts';
import { type Mount, parseMounts } from '../../../core/format/mountinfo.ts';
import { fileError, O_PATH } from '../../files/files.ts';

export type { Mount } from '../../../core/format/mountinfo.ts';

/** All mounts that this process sees, in the order of the kernel: what covers another one comes later. */
export async function listMounts(): Promise<readonly Mount[]> {
  return parseMounts(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** Those of Btrfs filesystems. */
export async function btrfsMounts(): Promise<readonly Mount[]> {
  return (await listMounts()).filter(({ type }) => type === 'btrfs');
}

/**
 * The mount through which a path is seen. The kernel says which one that is (proc(5), fdinfo, `mnt_id`), so that neither links nor
 * mounts that others cover mislead.
 * @throws ToolError when the path does not exist, or its mount is not to be seen from here
 */
export async function mountOf(path: string): Promise<Mount> {
  const file = await open(path, constants.O_RDONLY | O_PATH).catch((cause: unknown) => {
    throw fileError(`cannot find the filesystem of ${path}`, cause);
  });
  try {
    const about = await readFile(`/proc/self/fdinfo/${file.fd}`, 'utf8');
    const id = Number(/^mnt_id:\s*(\d+)$/m.exec(about)?.[1]);
    const mount = (await listMounts()).find((each) => each.id === id);
    if (mount) return mount;
    throw new ToolError(`cannot find the filesystem of ${path}`);
  } finally {
    await file.close();
  }
}

/** All mounts of the filesystem that a mount shows, those of directories included. */
export async function mountsOfSame({ device }: Pick<Mount, 'device'>): Promise<readonly Mount[]> {
  return (await listMounts()).filter((mount) => mount.device === device);
}

/** The paths by which a place of a filesystem would be seen; another mount may cover it. `place` begins at the top level: `/a/b`. */
export function pathsOf(place: string, mounts: readonly Mount[]): readonly string[] {
  return mounts.flatMap(({ root, target }) => {
    const below =
      root === '/' ? place : place === root ? '' : place.startsWith(`${root}/`) && place.slice(root.length);
    if (below === false) return [];
    return [target === '/' ? below || '/' : `${target}${below === '/' ? '' : below}`];
  });
}

/** The place of a path that a mount shows, from the filesystem's top level. */
export function placeOf(path: string, { root, target }: Mount): string {
  const below = target === '/' ? path : path.slice(target.length);
  return `${root === '/' ? '' : root}${below === '/' ? '' : below}` || '/';
}
