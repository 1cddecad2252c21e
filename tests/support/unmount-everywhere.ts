/** Unmounting beside other tests, also where the filesystem has to be gone: its image is changed, or another one takes its place. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesHolding } from '../../testing/harness/mount-table.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { until } from '../end-to-end/running-script.ts';

/** As `shell` is set up, but that it fails without throwing, and speaks English. */
const quiet = shell({ nothrow: true, env: { ...process.env, SHLVL: '1', LC_ALL: 'C' } });

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
  await unmount(mountPoint);
  await until(
    `${mountPoint} is mounted nowhere`,
    () => !existsSync(`/sys/fs/btrfs/${uuid}`) && (image === undefined || read('backing_file') !== image),
  );
}

/**
 * Unmounts, and waits up to 5 s where it is busy: programs of other tests look at all mounts of Btrfs for a moment, as `btrfs filesystem show`
 * opens them. Throws, with who holds it, when that was not enough.
 */
export async function unmount(mountPoint: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const { exitCode, stderr } = await quiet`umount ${mountPoint}`;
    if (exitCode === 0) return;
    if (tries === 50 || !stderr.includes('target is busy')) {
      throw new Error(
        `${stderr.trim()}; held by ${(await processesHolding(mountPoint)).join(', ') || 'no process'}`,
      );
    }
    await sleep(100);
  }
}
