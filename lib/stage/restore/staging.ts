/**
 * The staging directory of a restore: beside TARGET, because a snapshot cannot leave its filesystem; 0700, because what is
 * in it is not yet what was asked for. It is locked while its restore runs, so that what a killed one left is known as such.
 */
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { lstat, mkdtemp, open, readdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError } from '../../core/errors.ts';
import { deleteSubvolume, findSubvolumes } from '../../edge/btrfs/btrfs.ts';
import { fileError, pathExists } from '../../edge/files/files.ts';
import { lockFile } from '../../edge/files/lock.ts';
import type { StageContext } from '../context.ts';

const namePrefix = '.btrfs-to-s3-restore-';
/** As mkdtemp(3) makes them. */
const namePattern = /^\.btrfs-to-s3-restore-[A-Za-z0-9]{6}$/;

const fullHint = 'make room there, or choose a TARGET on another filesystem, and run again';

/** A staging directory in use. */
export interface Staging {
  readonly path: string;
  /** A path in it at which nothing is. */
  freePath(): string;
  /** Removes all subvolumes in it, and itself. */
  remove(): Promise<void>;
}

/**
 * Makes a staging directory.
 * @throws ToolError when the parent cannot be written.
 */
export async function makeStaging(parent: string): Promise<Staging> {
  for (;;) {
    try {
      const path = await mkdtemp(join(parent, namePrefix));
      const directory = await open(path, 'r');
      const freePath = () => join(path, randomUUID());
      const remove = () => removeDirectory(path).finally(() => directory.close());
      // Before it is locked, another restore may take it for an abandoned one and remove it.
      if ((await lockFile(directory, path)) && (await pathExists(path))) return { path, freePath, remove };
      await directory.close();
    } catch (cause) {
      throw fileError(`cannot make a staging directory in ${parent}`, cause, undefined, fullHint);
    }
  }
}

/** Moves a writable subvolume out of a staging directory to where nothing is. @throws ToolError when it cannot */
export async function moveOut(path: string, target: string): Promise<void> {
  try {
    await rename(path, target);
  } catch (cause) {
    throw fileError(`cannot move the restored subvolume to ${target}`, cause, undefined, fullHint);
  }
}

/** Removes what killed restores left in a directory; a failure is told and no more. */
export async function removeAbandonedStaging({ log }: StageContext, parent: string): Promise<void> {
  for (const name of (await readdir(parent)).filter((found) => namePattern.test(found))) {
    const path = join(parent, name);
    try {
      if (await removeIfAbandoned(path)) log.warn(`removed ${path}, which a killed restore had left`);
    } catch (error) {
      log.warn(`${path} is of a killed restore and could not be removed: ${describeError(error)}`);
    }
  }
}

async function removeIfAbandoned(path: string): Promise<boolean> {
  const status = await lstat(path);
  if (!status.isDirectory() || status.uid !== process.getuid?.()) return false;
  const directory = await open(path, 'r');
  try {
    if (!(await lockFile(directory, path))) return false;
    await removeDirectory(path);
    return true;
  } finally {
    await directory.close();
  }
}

/** Renames entries to what is a name for everybody; a read-only subvolume can be renamed in its own directory. */
async function renameEntries(
  directory: string,
  isMeant: (name: Buffer) => boolean,
): Promise<readonly string[]> {
  const names = (await readdir(directory, { encoding: 'buffer' })).filter(isMeant);
  const given: string[] = [];
  for (const name of names.sort(Buffer.compare)) {
    const fresh = randomUUID();
    await rename(Buffer.concat([Buffer.from(`${directory}/`), name]), join(directory, fresh));
    given.push(fresh);
  }
  return given;
}

async function removeDirectory(path: string): Promise<void> {
  await renameEntries(path, (name) => !isUtf8(name));
  for (const { path: subvolume } of (await findSubvolumes(path)).toReversed()) {
    await deleteSubvolume(subvolume);
  }
  await rmdir(path);
}
