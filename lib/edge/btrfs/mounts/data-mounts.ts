/** Mounts of filesystems that hold data: what lies below a path there, no snapshot of it holds. */
import type { Mount } from '../../../core/format/mountinfo.ts';
import { command } from '../../process/child.ts';
import { listMounts } from './mounts.ts';

/** Mounts that programs make for themselves, and that need no backup. */
const ofPrograms: ReadonlySet<string> = new Set([
  'overlay',
  'squashfs',
  'autofs',
  'nsfs',
  'fuse.portal',
  'fuse.gvfsd-fuse',
]);

/**
 * Those strictly below a path, one for each place, in the order of the kernel. findmnt(8) knows which filesystems hold no data, such as proc
 * and cgroup2; none where it fails.
 */
export async function dataMountsBelow(path: string): Promise<readonly Mount[]> {
  const root = path === '/' ? '/' : `${path}/`;
  const below = (await listMounts()).filter(
    ({ target, type }) => target.startsWith(root) && target !== path && !ofPrograms.has(type),
  );
  if (below.length === 0) return [];
  const found = await command`findmnt --real --list --noheadings -o ID`;
  const ids = new Set(found.stdout.split('\n').map((line) => Number(line.trim() || Number.NaN)));
  return [...new Map(below.filter(({ id }) => ids.has(id)).map((mount) => [mount.target, mount])).values()];
}
