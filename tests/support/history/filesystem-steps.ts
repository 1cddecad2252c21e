/** What happens to the filesystem as a whole. */

import { unmount } from '../unmount-everywhere.ts';
import { btrfs, run } from './commands.ts';
import type { Action, Steps } from './step.ts';

const sync: Action = async (world) => {
  await btrfs('filesystem', 'sync', world.mount);
  return 'btrfs filesystem sync';
};

const defragment: Action = async (world) => {
  await btrfs('filesystem', 'defragment', '-r', world.live);
  return 'btrfs filesystem defragment -r live';
};

const balance: Action = async (world) => {
  await btrfs('balance', 'start', '--full-balance', world.mount);
  return 'btrfs balance start --full-balance';
};

const remount: Action = async (world) => {
  await unmount(world.mount);
  const options = ['loop', ...(world.mountOptions ? [world.mountOptions] : [])].join(',');
  await run('mount', '-t', 'btrfs', '-o', options, world.imagePath, world.mount);
  return 'umount, and mount again';
};

/** The steps, by name. */
export const filesystemSteps = {
  sync: { action: sync, weight: 3 },
  defragment: { action: defragment, weight: 3 },
  balance: { action: balance, weight: 1 },
  remount: { action: remount, weight: 2 },
} as const satisfies Steps;
