/** Room on the filesystem of a path, which need not exist yet. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pathExists } from './files.ts';

/** Bytes of a filesystem. */
export interface Room {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** What can be written where a path is, or will be. @throws the system's error */
export async function roomAt(path: string): Promise<Room> {
  if (!(await pathExists(path))) return roomAt(dirname(path));
  const { bavail, blocks, bsize } = await statfs(path);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
