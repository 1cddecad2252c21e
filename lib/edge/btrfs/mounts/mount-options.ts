/** How the filesystem of a path is mounted. */
import { command } from '../../process/child.ts';

/** True where new files are compressed by a mount option; false also where findmnt cannot tell. */
export async function compresses(path: string): Promise<boolean> {
  const { stdout } = await command`findmnt -n -o OPTIONS -T ${path}`;
  // Of several mounts on one path the last is on top.
  return /(^|,)compress(-force)?(=|,|$)/.test(stdout.trim().split('\n').at(-1) ?? '');
}
