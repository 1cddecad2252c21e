/** Unmounting, where what follows depends on the filesystem being gone: its image is changed, or another one takes its place. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { shell } from '../../testing/harness/processes/shell.ts';
import { until } from '../end-to-end/running-script.ts';

/**
 * Unmounts a Btrfs filesystem on a loop device, and waits until no mount namespace has it any more and a device that detaches
 * itself has done so. Programs of other tests have namespaces of their own for a moment; until they end, the kernel keeps the
 * filesystem with all that it has read, and the next mount of the image finds that one. Throws when a minute was not enough.
 */
export async function unmountEverywhere(mountPoint: string): Promise<void> {
  const found = (await shell`findmnt -n -v -r -o SOURCE,UUID ${mountPoint}`).stdout.trim();
  const [device, uuid] = found.split(' ');
  if (!device || !uuid) throw new Error(`${mountPoint} is no mount of a filesystem on one device: ${found}`);
  const loop = `/sys/block/${basename(device)}/loop`;
  const read = (name: string) =>
    existsSync(`${loop}/${name}`) ? readFileSync(`${loop}/${name}`, 'utf8') : '';
  const image = read('autoclear').trim() === '1' ? read('backing_file') : undefined;
  await shell`umount ${mountPoint}`;
  await until(
    `${mountPoint} is mounted nowhere`,
    () => !existsSync(`/sys/fs/btrfs/${uuid}`) && (image === undefined || read('backing_file') !== image),
  );
}
