/** Where a filesystem is mounted, and by which paths a place in it can be reached: it may be seen at several, and at none. */
import { z } from 'zod';
import { ToolError } from '../../../core/errors.ts';
import { command } from '../../process/child.ts';

/** A mount, as findmnt(8) prints it. */
export interface Mount {
  readonly target: string;
  /** The directory of the filesystem that is seen there, from its top level: `/` for that itself. */
  readonly root: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
  /** The same for all mounts of one filesystem. */
  readonly device: string;
}

const listing = z.object({
  filesystems: z.array(
    z
      .object({
        target: z.string(),
        fsroot: z.string(),
        fstype: z.string(),
        source: z.string(),
        options: z.string(),
        'maj:min': z.string(),
      })
      .transform(
        ({ target, fsroot, fstype, source, options, 'maj:min': device }): Mount => ({
          target,
          root: fsroot,
          type: fstype,
          source,
          options: options.split(','),
          device,
        }),
      ),
  ),
});

const columns = 'TARGET,FSROOT,FSTYPE,SOURCE,OPTIONS,MAJ:MIN';

/**
 * The mount through which a path is seen.
 * @throws ToolError when it is unknown.
 */
export async function mountOf(path: string): Promise<Mount> {
  const { stdout } = await command`findmnt --json -v -o ${columns} -T ${path}`;
  // Of several mounts on one path, such as an automount and what it has mounted, the last is on top.
  const mount = read(stdout).at(-1);
  if (!mount) throw new ToolError(`cannot find the filesystem of ${path}`);
  return mount;
}

/** All mounts of the filesystem that a mount shows, those of directories included. */
export async function mountsOfSame({ device }: Pick<Mount, 'device'>): Promise<readonly Mount[]> {
  const { stdout } = await command`findmnt --list --json -v -o ${columns}`;
  return read(stdout).filter((mount) => mount.device === device);
}

function read(json: string): readonly Mount[] {
  if (json.trim() === '') return [];
  return listing.safeParse(JSON.parse(json)).data?.filesystems ?? [];
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
