/** Other filesystems that are mounted below a path: no snapshot of it holds what is in them. */
import { z } from 'zod';
import { command } from '../process/child.ts';

/** A mount, as findmnt(8) prints it. */
export interface Mount {
  readonly target: string;
  readonly source: string;
  readonly fstype: string;
}

const listing = z.object({
  filesystems: z.array(z.object({ target: z.string(), source: z.string(), fstype: z.string() })),
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

/** The mounts strictly below a path, one for each place; none where findmnt fails. Pseudo filesystems are left out. */
export async function mountsBelow(path: string): Promise<readonly Mount[]> {
  const found = await command`findmnt --real --list --json -o TARGET,SOURCE,FSTYPE`;
  if (found.exitCode !== 0) return [];
  const { data } = listing.safeParse(JSON.parse(found.stdout));
  const root = path === '/' ? '/' : `${path}/`;
  const below = (data?.filesystems ?? []).filter(
    ({ target, fstype }) => target.startsWith(root) && target !== path && !ofPrograms.has(fstype),
  );
  return [...new Map(below.map((mount) => [mount.target, mount])).values()];
}
