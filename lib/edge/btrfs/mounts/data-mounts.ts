/** What is mounted where: filesystems below a path, whose contents no snapshot of it holds, and where a subvolume can be reached. */
import { join } from 'node:path';
import { z } from 'zod';
import { command } from '../../process/child.ts';

/** A mount, as findmnt(8) prints it. */
export interface Mount {
  readonly target: string;
  /** With the directory that is mounted, such as `/dev/sda2[/@home]`. */
  readonly source: string;
  readonly fstype: string;
  /** Which directory of the filesystem is mounted; of Btrfs most often a subvolume. */
  readonly root: string;
  /** Numbers of the device: equal for all mounts of one filesystem. */
  readonly device: string;
}

const listing = z.object({
  filesystems: z.array(
    z.object({
      target: z.string(),
      source: z.string(),
      fstype: z.string(),
      fsroot: z.string(),
      'maj:min': z.string(),
    }),
  ),
});

/** Mounts that programs make for themselves, and that need no backup. */
const ofPrograms: ReadonlySet<string> = new Set([
  'overlay',
  'squashfs',
  'autofs',
  'nsfs',
  'fuse.portal',
  'fuse.gvfsd-fuse',
]);

/** The mounts of filesystems that hold data, in their order; none where findmnt fails. Pseudo filesystems are left out. */
export async function listMounts(): Promise<readonly Mount[]> {
  const found = await command`findmnt --real --list --json -o TARGET,SOURCE,FSTYPE,FSROOT,MAJ:MIN`;
  if (found.exitCode !== 0) return [];
  const { data } = listing.safeParse(JSON.parse(found.stdout));
  return (data?.filesystems ?? []).map(({ fsroot, 'maj:min': device, ...mount }) => ({
    ...mount,
    root: fsroot,
    device,
  }));
}

/** Those strictly below a path, one for each place. */
export function mountsBelow(path: string, mounts: readonly Mount[]): readonly Mount[] {
  const root = path === '/' ? '/' : `${path}/`;
  const below = mounts.filter(
    ({ target, fstype }) => target.startsWith(root) && target !== path && !ofPrograms.has(fstype),
  );
  return [...new Map(below.map((mount) => [mount.target, mount])).values()];
}

/** A place in a filesystem: a path below its top level, `@home/photos`, empty for that itself. */
export interface Place {
  readonly device: string;
  readonly path: string;
}

/** Where in its filesystem a path is, by the mount it lies in; of several at one place the last is on top. */
export function placeOf(path: string, mounts: readonly Mount[]): Place | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (isWithin(path, mount.target) && mount.target.length >= (best?.target.length ?? 0)) best = mount;
  }
  if (!best) return undefined;
  const whole = join(best.root, path.slice(best.target === '/' ? 0 : best.target.length));
  return { device: best.device, path: whole.slice(1) };
}

/** The paths at which a place can be reached, best first: its own mount, then those of directories above it. */
export function pathsOf({ device, path }: Place, mounts: readonly Mount[]): readonly string[] {
  const whole = `/${path}`;
  return mounts
    .filter((mount) => mount.device === device && isWithin(whole, mount.root))
    .sort((one, other) => other.root.length - one.root.length)
    .map(({ target, root }) => join(target, root === '/' ? path : whole.slice(root.length)));
}

function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}
