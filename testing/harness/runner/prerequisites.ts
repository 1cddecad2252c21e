/** What the machine has to allow before anything is made, each with the one line that says how. */

import { join } from 'node:path';
import { which } from 'zx';
import { ToolError } from '../../../lib/core/errors.ts';
import { pathExists } from '../../../lib/edge/files/files.ts';
import { shell } from '../processes/shell.ts';
import { type Places, transient } from './places.ts';

const commands = [
  'losetup',
  'mount',
  'umount',
  'mkfs.btrfs',
  'btrfs',
  'setfattr',
  'getfattr',
  'setfacl',
] as const;

/** @throws ToolError that names the missing or refused command */
export async function demandLoopDevices(): Promise<void> {
  for (const command of commands) {
    if (await which(command, { nothrow: true })) continue;
    throw new ToolError(`the command ${command} is missing`, { hint: 'install it with: make setup' });
  }
  const run = shell({ nothrow: true, env: { ...process.env, SHLVL: '1', LC_ALL: 'C' } });
  const { exitCode, stderr } = await run`losetup --find`;
  if (exitCode === 0) return;
  throw new ToolError(`"losetup --find" was refused: ${stderr.trim().replace(/^losetup: /, '')}`, {
    hint: 'allow loop devices: "modprobe loop" as root; in a container, run it with --privileged',
  });
}

/** @throws ToolError when something is in the way that no setup recorded, so that no foreign file is ever removed */
export async function demandEmptyPlace(places: Places): Promise<void> {
  for (const name of transient) {
    const path = join(places.runDirectory, name);
    if (!(await pathExists(path))) continue;
    throw new ToolError(`${path} is there, but no setup recorded it`, {
      hint: 'look what it is, and remove it by hand',
    });
  }
}
