/** Removes empty directories, and leaves no trace of it. */
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { command, commandError } from '../process/child.ts';
import { codeOf, fileError } from './files.ts';

/** Not there, not empty, or no directory: it is something else than what was meant. */
const otherwise: ReadonlySet<string> = new Set(['ENOENT', 'ENOTEMPTY', 'ENOTDIR']);

/**
 * Removes those of some names that are empty directories in a directory, which then gets its times back.
 * @param like has the times that the directory had before
 * @returns the names that were removed
 * @throws ToolError
 */
export async function removeEmptyDirectories(
  directory: string,
  names: readonly string[],
  like: string,
): Promise<readonly string[]> {
  const removed: string[] = [];
  try {
    for (const name of names) if (await removeEmpty(join(directory, name))) removed.push(name);
  } finally {
    // To the nanosecond, which utimes() of Node is not.
    if (removed.length > 0) await takeTimes(directory, like);
  }
  return removed;
}

async function removeEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (cause) {
    if (otherwise.has(codeOf(cause))) return false;
    throw fileError(`cannot remove ${path}`, cause, undefined, 'make room there');
  }
}

async function takeTimes(directory: string, like: string): Promise<void> {
  const set = await command`touch --no-create --reference=${like} -- ${directory}`;
  if (set.exitCode !== 0) throw commandError(`cannot set the times of ${directory}`, set.stderr);
}
