/** Which machine this is, and which filesystem: two hosts may have one name. */
import { createHmac } from 'node:crypto';
import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { pathExists } from '../files/files.ts';
import { command } from '../process/child.ts';
import { mountOf } from './mounts/mounts.ts';

/** The application of sd_id128_get_machine_app_specific(3): another one would make every host a stranger to its own backups. */
const applicationId = Buffer.from('b7f3a0c15d2e4f8c9a61e07d3c48b592', 'hex');

/**
 * A UUID of this machine that does not give away its machine-id, derived as sd_id128_get_machine_app_specific(3) does; undefined
 * where there is no machine-id, as in some containers.
 */
export async function readHostId(): Promise<string | undefined> {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    const text = (await readFile(path, 'latin1').catch(() => '')).trim();
    if (!/^[0-9a-f]{32}$/.test(text)) continue;
    const id = createHmac('sha256', Buffer.from(text, 'hex')).update(applicationId).digest().subarray(0, 16);
    // As of a random UUID: version 4, variant 1.
    id.writeUInt8((id.readUInt8(6) & 0x0f) | 0x40, 6);
    id.writeUInt8((id.readUInt8(8) & 0x3f) | 0x80, 8);
    return id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }
  return undefined;
}

/** The kernel has a directory here for each Btrfs filesystem that is mounted. */
const mountedRoot = '/sys/fs/btrfs';

/**
 * The device of a Btrfs filesystem that is attached and not mounted; undefined when it is mounted, or not there. Where there are no device
 * nodes to read, as in a service with PrivateDevices=, what udev has found on the devices counts, which lsblk shows.
 */
export async function findUnmounted(filesystemUuid: string): Promise<string | undefined> {
  if (!/^[0-9a-f-]+$/.test(filesystemUuid) || (await pathExists(`${mountedRoot}/${filesystemUuid}`)))
    return undefined;
  // Its cache is left out: without udev, what it has found on a device is not looked at again for two seconds (libblkid, BLKID_PROBE_MIN).
  const { exitCode, stdout } = await command`env BLKID_FILE=/dev/null blkid --uuid ${filesystemUuid}`;
  if (exitCode === 0) return stdout.trim() || undefined;
  const listed = await command`lsblk --noheadings --raw --paths --output NAME,UUID`;
  const found = listed.stdout.split('\n').find((line) => line.endsWith(` ${filesystemUuid}`));
  return found?.slice(0, found.indexOf(' '));
}

/**
 * UUID of the Btrfs filesystem that a path is on, as sysfs lists it by its devices; undefined where that cannot be seen. A mapped device
 * has another name there, which its node leads to; without the node, the filesystem itself is asked.
 */
export async function readFilesystemUuid(path: string): Promise<string | undefined> {
  const { source, target, type } = await mountOf(path);
  if (type !== 'btrfs') return undefined;
  const device = basename(await realpath(source).catch(() => source));
  for (const uuid of await readdir(mountedRoot).catch((): string[] => [])) {
    const devices = await readdir(`${mountedRoot}/${uuid}/devices`).catch((): string[] => []);
    if (devices.includes(device)) return uuid;
  }
  const { stdout } = await command`btrfs filesystem show --mounted -- ${target}`;
  const uuid = /^Label: .* uuid: ([0-9a-f-]{36})$/m.exec(stdout)?.[1];
  return uuid !== undefined && (await pathExists(`${mountedRoot}/${uuid}`)) ? uuid : undefined;
}

/** Bytes of the metadata nodes of the filesystem that a path is on; undefined where sysfs does not show it. */
export async function readNodeSize(path: string): Promise<number | undefined> {
  const uuid = await readFilesystemUuid(path);
  const text = uuid && (await readFile(`${mountedRoot}/${uuid}/nodesize`, 'utf8').catch(() => undefined));
  return text ? Number(text) : undefined;
}
