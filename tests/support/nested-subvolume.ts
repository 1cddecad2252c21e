/** A nested subvolume of which btrfs send leaves a directory behind, once it and the directory around it are deleted. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shell } from '../../testing/harness/processes/shell.ts';

/** The name that btrfs send gives what it moves out of the way. */
export const strayName = /^o\d+-\d+-\d+$/;

/** Makes it in a subvolume. Its ID is above the inode number of its directory, as those of containers soon are. */
export async function makeNested(data: string): Promise<void> {
  await mkdir(join(data, 'machines'));
  await writeFile(join(data, 'machines/list'), 'debian\n');
  for (let id = 0; id < 9; id++) {
    await shell`btrfs subvolume create ${join(data, 'unused')}`;
    await shell`btrfs subvolume delete ${join(data, 'unused')}`;
  }
  await shell`btrfs subvolume create ${join(data, 'machines/debian')}`;
}

/** Deletes it with its directory. */
export async function removeNested(data: string): Promise<void> {
  await shell`btrfs subvolume delete ${join(data, 'machines/debian')}`;
  await rm(join(data, 'machines'), { recursive: true });
}
