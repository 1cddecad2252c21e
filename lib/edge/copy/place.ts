/** How paths that were copied into a directory of ours get to where they belong: by renaming, and over nothing. */
import { rename } from 'node:fs/promises';
import { ToolError } from '../../core/errors.ts';
import { namesOf, shownPath } from '../../core/extract/wanted-paths.ts';
import { fileError } from '../files/files.ts';
import { entryAt, pathBelow } from './byte-path.ts';

/**
 * Why a path (byte string) cannot be put below a directory; undefined when it can.
 * @param device of the directory: what is mounted below it cannot be renamed into
 */
export async function whyNoPlace(
  directory: string,
  device: number,
  path: string,
): Promise<string | undefined> {
  const names = namesOf(path);
  for (const index of names.keys()) {
    const here = names.slice(0, index + 1);
    const entry = await entryAt(pathBelow(directory, here));
    if (!entry) return undefined;
    const shown = `${directory}${shownPath(`/${here.join('/')}`)}`;
    if (index + 1 === names.length) return `${shown} exists already`;
    if (!entry.isDirectory()) {
      return `${shown} is ${entry.isSymbolicLink() ? 'a symbolic link' : 'a file'}, and a directory is needed there`;
    }
    if (entry.dev !== device) return `${shown} is another filesystem`;
  }
  return undefined;
}

/**
 * Moves a path from below one directory to below another, with as many of the directories above it as are missing there.
 * @throws ToolError where something is in its place, or it cannot be moved
 */
export async function place(from: string, to: string, device: number, path: string): Promise<void> {
  const names = namesOf(path);
  for (const index of names.keys()) {
    const here = names.slice(0, index + 1);
    const source = pathBelow(from, here);
    // Went along with another path.
    if (!(await entryAt(source))) return;
    const target = pathBelow(to, here);
    const there = await entryAt(target);
    if (there?.isDirectory() && index + 1 < names.length) continue;
    if (there) break;
    try {
      return await rename(source, target);
    } catch (cause) {
      throw fileError(`cannot move ${shownPath(path)} to ${to}`, cause);
    }
  }
  const problem = (await whyNoPlace(to, device, path)) ?? `${shownPath(path)} cannot be put there`;
  throw new ToolError(problem, { hint: 'it came there meanwhile, and nothing is ever written over' });
}
