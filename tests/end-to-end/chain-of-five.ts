/** A chain of a full backup and four incremental ones, restores of it that are stopped, and what they fetch. */
import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import type { Host } from './within-process.ts';
import type { World } from './world.ts';

/** A backup, and the tree that it is of. */
export interface BackedUp {
  readonly key: string;
  readonly manifest: Manifest;
  readonly tree: unknown;
}

/** Makes the five: each brings some random bytes, and moves and deletes what is there. */
export async function backUpFive(world: World, host: Host, bytes = 1_000_000): Promise<readonly BackedUp[]> {
  const made: BackedUp[] = [];
  for (let day = 1; day <= 5; day++) {
    await mkdir(join(world.data, `day-${day}`));
    await writeFile(join(world.data, `day-${day}/random`), randomBytes(bytes + day));
    await writeFile(join(world.data, 'same'), `${day}\n`.repeat(5000));
    if (day > 1)
      await rename(join(world.data, `day-${day - 1}/random`), join(world.data, `moved-${day - 1}`));
    if (day > 2) await rm(join(world.data, `moved-${day - 2}`));
    const { key, manifest } = await host.backUp();
    made.push({ key, manifest, tree: await treeDigest(manifest.snapshot.path) });
  }
  return made;
}

/** Bytes of chunks that were asked for and given, from a request on. */
export function fetchedBytes({ server }: World, since = 0): number {
  return server.requests
    .slice(since)
    .filter(
      ({ operation, key, status }) => operation === 'GetObject' && key?.endsWith('.bin') && status === 206,
    )
    .reduce((sum, { range = '' }) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
      return sum + Number(to) - Number(from) + 1;
    }, 0);
}

/** Makes each request for bytes of a backup fail at once, until the faults are cleared. */
export function breakOff(world: World, { manifest }: BackedUp): void {
  const key = manifest.chunks.at(-1)?.key ?? '';
  world.server.faults.set([{ fault: 'error', code: 'ExpiredToken', operation: 'GetObject', key }]);
}
