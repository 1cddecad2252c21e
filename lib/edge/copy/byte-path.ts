/** Paths below a directory as the filesystem has them: byte strings (latin1), because names on Linux need not be UTF-8. */

import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { codeOf, fileError } from '../files/files.ts';

/** The path of names below a directory. */
export function pathBelow(directory: string, names: readonly string[]): Buffer {
  const below = names.map((name) => `/${name}`).join('');
  return Buffer.concat([Buffer.from(directory), Buffer.from(below, 'latin1')]);
}

/** What is at a path, a link itself and not what it names; undefined where nothing is. */
export async function entryAt(path: Buffer): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined;
    throw fileError(`cannot look at ${path.toString('utf8')}`, error);
  }
}
