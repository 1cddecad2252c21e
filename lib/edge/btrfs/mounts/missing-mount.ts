/** Mounts that fstab(5) promises and that are not there: what lies on their empty directories is another filesystem's. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ToolError } from '../../../core/errors.ts';
import { unescapeOctal } from '../../../core/format/mountinfo.ts';
import { mountOf } from './mounts.ts';

/**
 * Refuses a path that lies on a mount point of fstab where nothing is mounted.
 * @param what the path's part in the settings, for the message, such as `SNAPSHOT_DIR`; may be empty.
 * @throws ToolError
 */
export async function refuseMissingMount(what: string, path: string, fstab = '/etc/fstab'): Promise<void> {
  const point = await findMissingMount(path, fstab);
  if (point === undefined) return;
  const named = what === '' ? path : `${what} ${path}`;
  throw new ToolError(`${named} is on ${point}, which is not mounted (${fstab} names it)`, {
    hint: `mount it and run again: mount ${point}`,
  });
}

/** The mount point of fstab on which a path should be, if nothing is mounted there. */
async function findMissingMount(path: string, fstab: string): Promise<string | undefined> {
  const there = await existingPart(path);
  const mount = await mountOf(there);
  const isDeeper = (point: string) =>
    point !== mount.target && `${point}/`.startsWith(`${mount.target}/`.replace('//', '/'));
  const isAbove = (point: string) =>
    `${path}/`.startsWith(`${point}/`) || `${there}/`.startsWith(`${point}/`);
  // An automount whose mount has failed.
  if (mount.type === 'autofs') return mount.target;
  return (await mountPointsOf(fstab))
    .filter((point) => isDeeper(point) && isAbove(point))
    .sort((a, b) => a.length - b.length)[0];
}

/** The path, or the nearest directory above it that exists; to look at it makes an automount mount. */
async function existingPart(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const isThere = await stat(at).then(
      () => true,
      () => false,
    );
    if (isThere) return realpath(at);
    if (at === '/') return at;
  }
}

/** The places that fstab(5) mounts on; none where it cannot be read. */
async function mountPointsOf(fstab: string): Promise<readonly string[]> {
  const text = await readFile(fstab, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [source = '', target] = line.trim().split(/\s+/);
    if (source.startsWith('#') || !target?.startsWith('/')) return [];
    return [unescapeOctal(target).replace(/(?<=.)\/+$/, '')];
  });
}
