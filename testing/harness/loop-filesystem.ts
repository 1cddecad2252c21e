/**
 * Throw-away Btrfs filesystems on loop devices, all below `testing/run/loop/`, or another folder where that is asked for.
 * The kernel frees the loop device at unmount (autoclear). The folder's name records its owner, so that what a killed run
 * left behind is removed by the next one. Nothing outside that folder is ever unmounted or removed.
 */
import { mkdir, mkdtemp, readdir, realpath, rm, rmdir, truncate, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessOutput } from 'zx';
import { mountPointsBelow, processesHolding, processStartTicks } from './mount-table.ts';
import { shell } from './processes/shell.ts';

/** A mounted Btrfs filesystem that its creator must remove. */
export type LoopFilesystem = {
  readonly mountPoint: string;
  readonly imagePath: string;
  /**
   * Unmounts and deletes everything; a second call does nothing. Throws when a process keeps the mount busy,
   * naming it, after the mount was detached lazily.
   */
  readonly remove: () => Promise<void>;
};

/** Name: letters, digits, dot, dash, underscore. `root` (default `testing/run/loop`) holds nothing but such filesystems. */
export type LoopFilesystemOptions = FilesystemOptions & { readonly name: string; readonly root?: string };

/** What a filesystem is made with. Mount options as for `mount -o`. */
export type FilesystemOptions = {
  readonly sizeBytes: number;
  readonly mountOptions?: readonly string[];
};

const loopRoot = resolve(import.meta.dirname, '../run/loop');
const busyRetries = 10;
const detachRetries = 300;
const busyDelayMs = 100;
const quiet = shell({ nothrow: true, env: { ...process.env, SHLVL: '1', LC_ALL: 'C' } });

/** Runs a short command; throws one line that names the command, its complaint and the way out. */
async function mustSucceed(command: string, hint: string, run: Promise<ProcessOutput>): Promise<void> {
  const { exitCode, stderr } = await run;
  if (exitCode === 0) return;
  const complaint = stderr.trim().replace(/\s*\n\s*/g, '; ') || `exit code ${exitCode}`;
  // Bash answers 127 for a command that it cannot find.
  if (exitCode === 127) throw new Error(`${command} is missing: ${hint} (${complaint})`);
  throw new Error(`${command} was refused: ${complaint}`);
}

/** mkfs.btrfs looks at the loop devices of all mounts, and fails where another test detaches one at that moment. */
async function format(label: string, imagePath: string): Promise<ProcessOutput> {
  for (let attempt = 1; ; attempt += 1) {
    const formatted = await quiet`mkfs.btrfs -q -K -L ${label} -- ${imagePath}`;
    if (attempt === busyRetries || !/cannot check mount status/.test(formatted.stderr)) return formatted;
    await sleep(busyDelayMs);
  }
}

async function createFolder(name: string, root: string): Promise<string> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new Error(`loop filesystem name must be letters, digits, dot, dash, underscore, got '${name}'`);
  }
  await mkdir(root, { recursive: true });
  const owner = `${process.pid}-${await processStartTicks(process.pid)}`;
  // The owner is in the name because making a folder is atomic: there is no moment at which it has no owner.
  return mkdtemp(join(await realpath(root), `${name}-${owner}-`));
}

async function ownerIsAlive(root: string, folderName: string): Promise<boolean> {
  const owner = /-(?<pid>\d+)-(?<ticks>\d+)-[A-Za-z0-9]{6}$/.exec(folderName)?.groups;
  if (owner === undefined) throw new Error(`unexpected entry ${join(root, folderName)}: remove it by hand`);
  return (await processStartTicks(Number(owner.pid))) === owner.ticks;
}

/** Unmounts one mount point; answers who held it when that took a lazy unmount, otherwise null. */
async function unmount(mountPoint: string, folder: string): Promise<string | null> {
  for (let attempt = 0; attempt < busyRetries; attempt += 1) {
    if ((await quiet`umount -- ${mountPoint}`).exitCode === 0) return null;
    // Another process that sweeps the same leftover may have been faster.
    if (!(await mountPointsBelow(folder)).includes(mountPoint)) return null;
    await sleep(busyDelayMs);
  }
  const holders = await processesHolding(mountPoint);
  await mustSucceed('umount --lazy', 'install mount', quiet`umount --lazy -- ${mountPoint}`);
  return `${mountPoint} was kept busy by ${holders.join(', ') || 'a swap file, loop device or mount on it'}`;
}

/** The loop device is freed when its last opener closes it: whatever looks at new devices may keep it open for a while. */
async function waitForDetach(imagePath: string): Promise<void> {
  const attached = async () =>
    (await quiet`losetup --noheadings --output NAME --associated ${imagePath}`).stdout.trim();
  for (let attempt = 0; attempt < detachRetries; attempt += 1) {
    if ((await attached()) === '') return;
    await sleep(busyDelayMs);
  }
  const device = await attached();
  const holders = (await processesHolding(device)).join(', ') || 'no process that can be seen';
  throw new Error(`${device}, the loop device of ${imagePath}, is still attached, and held by ${holders}`);
}

/**
 * Unmounts what is mounted below `folder`, and removes the image and the folder; what is gone already is no error. Throws
 * when a process keeps the mount busy, naming it, after the mount was detached lazily. `folder` must be a real path.
 */
export async function removeFilesystemIn(folder: string): Promise<void> {
  const imagePath = join(folder, 'image');
  const busy: string[] = [];
  for (const mountPoint of await mountPointsBelow(folder)) {
    const holder = await unmount(mountPoint, folder);
    if (holder !== null) busy.push(holder);
  }
  if (busy.length === 0) await waitForDetach(imagePath);
  await rm(imagePath, { force: true });
  // Only empty directories are removed, never a tree: a mount that came up meanwhile cannot lose its files.
  for (const directory of [join(folder, 'mount'), folder]) {
    await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  if (busy.length > 0) throw new Error(`unmounted lazily: ${busy.join('; ')}`);
}

/**
 * Removes the filesystems below `directory` whose owner is dead (no process with that pid and start
 * time). What cannot be removed cleanly, because an orphan of the dead run still holds it, gives a process warning
 * that names the holder: the leftovers of another run are no reason to fail this one. Throws when the folder
 * holds an entry that this module did not make.
 */
export async function sweepStaleLoopFilesystems(directory = loopRoot): Promise<void> {
  await mkdir(directory, { recursive: true });
  const root = await realpath(directory);
  for (const folderName of await readdir(root)) {
    if (await ownerIsAlive(root, folderName)) continue;
    await removeFilesystemIn(join(root, folderName)).catch((error: Error) =>
      process.emitWarning(error.message),
    );
  }
}

/**
 * Makes and mounts a Btrfs filesystem of `sizeBytes` (mkfs.btrfs wants some 110 MiB; the image is sparse), after
 * sweeping what dead runs left. Needs root. Throws one line where a tool is missing or the system refuses, and
 * leaves nothing then.
 */
export async function createLoopFilesystem(options: LoopFilesystemOptions): Promise<LoopFilesystem> {
  if (process.geteuid?.() !== 0)
    throw new Error('loop filesystems need root: run as root or through sudo -n');
  const { name, root = loopRoot } = options;
  await sweepStaleLoopFilesystems(root);
  return createFilesystemIn(await createFolder(name, root), options);
}

/**
 * Makes a Btrfs filesystem in the empty directory `folder`, as `image` there, and mounts it on `mount` there. No later run sweeps
 * it: whoever calls this has to remember the folder. Throws like createLoopFilesystem, and removes the folder then.
 */
export async function createFilesystemIn(
  folder: string,
  options: FilesystemOptions,
): Promise<LoopFilesystem> {
  const [imagePath, mountPoint] = [join(folder, 'image'), join(folder, 'mount')];
  try {
    await mkdir(mountPoint);
    await writeFile(imagePath, '', { mode: 0o600 });
    await truncate(imagePath, options.sizeBytes);
    const label = basename(folder).slice(0, 32);
    await mustSucceed('mkfs.btrfs', 'install btrfs-progs', format(label, imagePath));
    const mountOptions = ['loop', ...(options.mountOptions ?? [])].join(',');
    const mounting = quiet`mount -t btrfs -o ${mountOptions} -- ${imagePath} ${mountPoint}`;
    await mustSucceed('mount', 'install mount', mounting);
  } catch (error) {
    await removeFilesystemIn(folder);
    throw error;
  }
  return { mountPoint, imagePath, remove: () => removeFilesystemIn(folder) };
}
