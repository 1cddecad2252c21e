/** Where Btrfs filesystems are mounted, and by which path a place below a filesystem's top level can be reached. */
import { join } from 'node:path';
import { z } from 'zod';
import { command } from '../../process/child.ts';

/** A mount of a Btrfs filesystem. */
export interface BtrfsMount {
  readonly target: string;
  /** The same for all mounts of a filesystem. */
  readonly source: string;
  /** What of it is mounted, from its top level on. */
  readonly fsroot: string;
}

const listing = z.object({
  filesystems: z.array(z.object({ target: z.string(), source: z.string(), fsroot: z.string() })),
});

/** All mounts, or the one that a path is on; none where findmnt cannot tell. */
export async function btrfsMounts(path?: string): Promise<readonly BtrfsMount[]> {
  const which = path === undefined ? [] : ['-T', path];
  const found = await command`findmnt --list --json -v -t btrfs -o TARGET,SOURCE,FSROOT ${which}`;
  if (found.exitCode !== 0) return [];
  const { data } = listing.safeParse(JSON.parse(found.stdout));
  return data?.filesystems ?? [];
}

/** A path by which a place can be reached; undefined where no mount shows it. @param place relative to the filesystem's top level */
export function pathBelow(mounts: readonly BtrfsMount[], place: string): string | undefined {
  for (const { fsroot, target } of mounts) {
    const root = fsroot === '/' ? '/' : `${fsroot}/`;
    if (`/${place}`.startsWith(root)) return join(target, `/${place}`.slice(root.length));
  }
  return undefined;
}
