/** The commands that a user would type. */
import { execFile } from 'node:child_process';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Refused } from './hands.ts';

/** Runs a command. @throws Refused with the last line of its complaint */
export function run(command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: { ...process.env, LC_ALL: 'C' } }, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else reject(new Refused(`${stderr.trim().split('\n').at(-1) || error.message}`));
    });
  });
}

/** `btrfs`, whose output is dropped. */
export const btrfs = (...args: readonly string[]) => run('btrfs', ...args);

/** Sends a read-only subvolume, on a parent if one is given, into a directory, as btrbk and many scripts do. */
export async function sendAndReceive(snapshot: string, into: string, parent?: string): Promise<void> {
  const script = 'into=$1; shift; btrfs send -q "$@" | btrfs receive "$into"';
  const on = parent === undefined ? [] : ['-p', parent];
  await run('bash', '-o', 'pipefail', '-c', script, '-', into, ...on, snapshot);
}

/** Whether a subvolume is there, read-only or not. */
export async function isSubvolume(path: string): Promise<boolean> {
  const status = await lstat(path).catch(() => undefined);
  return status?.isDirectory() === true && status.ino === 256;
}

/** Paths of the subvolumes in a directory, by name. */
export async function subvolumesIn(directory: string): Promise<readonly string[]> {
  const paths = (await readdir(directory)).sort().map((name) => join(directory, name));
  const are = await Promise.all(paths.map(isSubvolume));
  return paths.filter((_, index) => are[index]);
}

/** Sets or clears the read-only flag, whatever the subvolume was received from. */
export async function setReadOnly(path: string, readOnly: boolean): Promise<void> {
  const force = readOnly ? [] : ['-f'];
  await btrfs('property', 'set', ...force, '-t', 'subvol', path, 'ro', String(readOnly));
}

/** Whether the read-only flag is set. */
export async function isReadOnly(path: string): Promise<boolean> {
  return (await btrfs('property', 'get', '-t', 'subvol', path, 'ro')).includes('ro=true');
}

/** One line of `btrfs subvolume show`, such as `UUID`. */
export async function shown(path: string, line: string): Promise<string> {
  const text = await btrfs('subvolume', 'show', path);
  const value = text.split('\n').find((each) => each.trim().startsWith(`${line}:`));
  return value?.slice(value.indexOf(':') + 1).trim() ?? '';
}

/** Deletes every subvolume of a filesystem, and then what is left. Those in others go first, however many rounds that takes. */
export async function clearFilesystem(mount: string): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    const lines = (await btrfs('subvolume', 'list', mount)).trim().split('\n').filter(Boolean);
    if (lines.length === 0) break;
    for (const line of lines.reverse()) {
      const path = join(mount, line.slice(line.indexOf(' path ') + 6));
      // Out of a read-only one nothing can be deleted.
      if (round > 0) await setReadOnly(path, false).catch(() => undefined);
      await btrfs('subvolume', 'delete', path).catch(() => undefined);
    }
  }
  for (const name of await readdir(mount)) await rm(join(mount, name), { recursive: true });
}
