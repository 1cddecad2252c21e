/** Whether an increment from one snapshot to another would be right where their ancestors do not show it: by all of their inodes. */
import type { BigIntStats } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import pMap from 'p-map';
import { type Inode, InodeCensus, InodeComparer, inodeReader } from '../../core/stream/inode-census.ts';
import { unbroken } from '../../core/stream/restart-watch.ts';
import { command, startStreamChild } from '../process/child.ts';

/** Files of which the content is compared, the newest of those that both have. */
const comparedFiles = 256;
/** Of each file. */
const comparedBytes = 2 ** 20;
const looksAtOnce = 4;

type StatOf = (path: string) => Promise<BigIntStats>;

/**
 * Reads the inodes of two read-only snapshots of one filesystem, by metadata alone: as long as a walk through both takes.
 * @returns why a stream from the first to the second might not be right, or would be no smaller than a full one; undefined when
 *   it is right.
 * @throws ToolError when `btrfs send` fails; the signal's reason.
 */
export async function whyNotIncremental(
  parentPath: string,
  sourcePath: string,
  signal: AbortSignal,
  statOf: StatOf = (path) => lstat(path, { bigint: true }),
): Promise<string | undefined> {
  const parents = await unbroken(() => readInodes(parentPath, new InodeCensus(), signal));
  const comparer = await unbroken(() =>
    readInodes(sourcePath, new InodeComparer(parents, comparedFiles), signal),
  );
  const { shared, mixedUp, newestFiles } = comparer.result;
  if (shared === 0) return 'they have no file in common';
  if (mixedUp) {
    const { source, parent } = mixedUp;
    return `inode ${source.number} is a ${source.kind}, and was made in the same transaction as the ${parent.kind} of that number`;
  }
  // Two files that were made and written in one tick of the clock, in one size, differ in nothing that btrfs send compares.
  const areOther = await pMap(
    newestFiles,
    async (number) => {
      const both = [parentPath, sourcePath].map((subvolume) => fileOf(number, subvolume, statOf));
      return isOnlyContentOther(await Promise.all(both));
    },
    { concurrency: looksAtOnce, signal },
  );
  const at = areOther.indexOf(true);
  return at < 0 ? undefined : `inode ${newestFiles[at]} is another file in each, of one size and time`;
}

/** Adds all inodes of a snapshot. */
async function readInodes<Inodes extends { add(inode: Inode): void }>(
  path: string,
  inodes: Inodes,
  signal: AbortSignal,
): Promise<Inodes> {
  const args = ['send', '--quiet', '--no-data', '--', path];
  const child = startStreamChild(`btrfs send of ${path}`, 'btrfs', args, ['ignore', 'pipe']);
  const stop = () => void child.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const reader = inodeReader((inode) => inodes.add(inode));
    for await (const piece of child.process.stdout ?? []) reader.push(piece);
    await child.finished;
    reader.finish();
    return inodes;
  } finally {
    signal.removeEventListener('abort', stop);
    await child.stop();
    signal.throwIfAborted();
  }
}

/** True where two files are alike in all that btrfs send compares of an inode, and have other content. */
function isOnlyContentOther([one, other]: readonly (FoundFile | undefined)[]): Promise<boolean> | boolean {
  if (!one || !other) return false;
  const isAlike = (['size', 'mtimeNs', 'ctimeNs', 'birthtimeNs'] as const).every(
    (field) => one.status[field] === other.status[field],
  );
  if (!isAlike) return false;
  return Promise.all([beginningOf(one.path), beginningOf(other.path)]).then(
    ([first, second]) => !first.equals(second),
  );
}

interface FoundFile {
  readonly path: string;
  readonly status: BigIntStats;
}

/** A file by its inode number; undefined where its path cannot be read from what btrfs prints, as with line breaks in it. */
async function fileOf(number: number, subvolume: string, statOf: StatOf): Promise<FoundFile | undefined> {
  const found = await command`btrfs inspect-internal inode-resolve -- ${String(number)} ${subvolume}`;
  const [path = ''] = found.stdout.split('\n');
  const status = path.startsWith(subvolume) ? await statOf(path).catch(() => undefined) : undefined;
  return status?.ino === BigInt(number) ? { path, status } : undefined;
}

async function beginningOf(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(comparedBytes), 0, comparedBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
