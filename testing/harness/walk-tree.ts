/** Lists a directory tree with names as bytes, because a file name on Linux need not be valid text. */
import type { BigIntStats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';

/** One entry: its path as bytes, relative to the walked directory (`.` for that directory), and its lstat. */
export type TreeEntry = { readonly path: Buffer; readonly stat: BigIntStats };

/** Joins path parts that may hold any bytes. */
export function joinBytes(...parts: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part, index) => [Buffer.from(index === 0 ? '' : '/'), Buffer.from(part)]),
  );
}

/**
 * Every entry of `directory` including itself, sorted by the bytes of its path. Symlinks are not followed.
 * Nested subvolumes and other filesystems are not part of it, and neither are the empty directories that stand
 * for nested subvolumes in a snapshot: none of them is in a send stream.
 */
export async function walkTree(directory: string): Promise<TreeEntry[]> {
  const rootStat = await lstat(directory, { bigint: true });
  const entries: TreeEntry[] = [{ path: Buffer.from('.'), stat: rootStat }];
  const pending: Buffer[] = [Buffer.alloc(0)];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    for (const name of await readdir(joinBytes(directory, parent), { encoding: 'buffer' })) {
      const path = parent.length === 0 ? name : joinBytes(parent, name);
      const stat = await lstat(joinBytes(directory, path), { bigint: true });
      // Nested subvolumes, and their stand-ins in a snapshot, have device numbers of their own.
      if (stat.dev !== rootStat.dev) continue;
      entries.push({ path, stat });
      if (stat.isDirectory()) pending.push(path);
    }
  }
  return entries.sort((a, b) => Buffer.compare(a.path, b.path));
}

/** The paths of `entries` for a command that reads NUL-separated names (`xargs --null`). */
export function nullSeparated(entries: readonly TreeEntry[]): Buffer {
  return Buffer.concat(entries.flatMap(({ path }) => [path, Buffer.of(0)]));
}
