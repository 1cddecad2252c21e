/**
 * A directory for one run, locked as long as that runs, so that what a killed run has left is known as such. The lock is on a file in
 * it, because some network filesystems lock no directories.
 */
import { type FileHandle, lstat, mkdtemp, open, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, pathExists } from './files.ts';
import { lockFile } from './lock.ts';

const lockName = 'lock';

const removeAttempts = 10;
const removePauseMs = 100;

/** A directory that its run must remove. */
export interface LockedDirectory {
  readonly path: string;
  /** Removes it, and the lock; whatever else was in it must be gone. */
  remove(): Promise<void>;
}

/**
 * Makes one, 0700, named by the prefix and six letters.
 * @throws the system's error, or a ToolError where nothing can be locked; nothing is left then
 */
export async function makeLockedDirectory(parent: string, prefix: string): Promise<LockedDirectory> {
  for (;;) {
    const path = await mkdtemp(join(parent, prefix));
    const file = await openLock(path, 'ax');
    // Another run may take it for an abandoned one until it is locked.
    if (!file) continue;
    try {
      if ((await lockFile(file, path)) && (await pathExists(join(path, lockName)))) {
        return { path, remove: () => removeWith(path, file) };
      }
    } catch (error) {
      await removeWith(path, file);
      throw error;
    }
    await file.close();
  }
}

/** What became of directories that killed runs had left. */
export interface Swept {
  readonly removed: readonly string[];
  readonly failures: readonly { readonly path: string; readonly error: unknown }[];
}

/**
 * Removes the directories in a parent that no process has locked.
 * @param empty removes what is in one, its lock aside
 * @param anyOwner true where the filesystem keeps no owners; elsewhere those of other users are left alone
 */
export async function sweepAbandoned(
  parent: string,
  prefix: string,
  empty: (path: string) => Promise<void>,
  anyOwner = false,
): Promise<Swept> {
  const removed: string[] = [];
  const failures: { readonly path: string; readonly error: unknown }[] = [];
  for (const name of await namesIn(parent, prefix)) {
    const path = join(parent, name);
    try {
      if (await removeIfAbandoned(path, empty, anyOwner)) removed.push(path);
    } catch (error) {
      failures.push({ path, error });
    }
  }
  return { removed, failures };
}

/** The directories in a parent that runs have left which do not live any more: those that `sweepAbandoned` would remove. */
export async function listAbandoned(parent: string, prefix: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await namesIn(parent, prefix)) {
    const path = join(parent, name);
    const file = await openLock(path, 'r+').catch(() => undefined);
    if (!file) continue;
    try {
      if (await lockFile(file, path)) found.push(name);
    } finally {
      await file.close();
    }
  }
  return found;
}

async function namesIn(parent: string, prefix: string): Promise<readonly string[]> {
  return (await readdir(parent)).filter(
    (name) => name.startsWith(prefix) && /^[A-Za-z0-9]{6}$/.test(name.slice(prefix.length)),
  );
}

async function removeIfAbandoned(
  path: string,
  empty: (path: string) => Promise<void>,
  anyOwner: boolean,
): Promise<boolean> {
  const status = await lstat(path);
  if (!status.isDirectory() || !(anyOwner || status.uid === process.getuid?.())) return false;
  const file = await openLock(path, 'r+');
  if (!file) {
    // Made or removed at this moment, or cut off there: then it is empty. With anything in it, it is not ours.
    return rmdir(path).then(
      () => true,
      () => false,
    );
  }
  if (!(await lockFile(file, path))) {
    await file.close();
    return false;
  }
  try {
    await empty(path);
  } catch (error) {
    await file.close();
    throw error;
  }
  await removeWith(path, file);
  return true;
}

/** What is removed while it is open keeps a name on NFS and FUSE, so the directory is removed when its lock is closed: FUSE hears of that late. */
async function removeWith(path: string, file: FileHandle): Promise<void> {
  try {
    await rm(join(path, lockName), { force: true });
  } finally {
    await file.close();
  }
  for (let left = removeAttempts; ; left--) {
    try {
      return await rmdir(path);
    } catch (error) {
      // Without its lock it is one that another run may remove as well.
      if (codeOf(error) === 'ENOENT') return;
      if (codeOf(error) !== 'ENOTEMPTY' || left === 1) throw error;
    }
    await sleep(removePauseMs);
  }
}

async function openLock(path: string, flags: string): Promise<FileHandle | undefined> {
  try {
    return await open(join(path, lockName), flags, 0o600);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
