/** Fills a directory on Btrfs with a small data set that is the same, to the bit, for the same seed. */
import { chmod, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DeterministicRandom, deterministicRandom } from './deterministic-random.ts';
import { createDirectory, createFile, seedOddities } from './seed-oddities.ts';
import { stampTimes } from './stamp-times.ts';
import { walkTree } from './walk-tree.ts';

export { mutateData } from './mutate-data.ts';

/** `files` counts the ordinary small files (default 200, at least 64), `totalBytes` all ordinary content (8 MiB). */
export type SeedOptions = {
  readonly seed: number;
  readonly files?: number;
  readonly totalBytes?: number;
};

/** What is there after seeding: all entries without the directory itself, and the bytes of regular files. */
export type SeedSummary = { readonly entries: number; readonly bytes: number };

const blockBytes = 1024 * 1024;
const fanOut = 4;

/** Writes a file block by block, so that its size is not bounded by memory. */
async function writeLarge(path: string, size: number, block: (length: number) => Buffer): Promise<void> {
  await createFile(path, '');
  const file = await open(path, 'r+');
  for (let written = 0; written < size; written += blockBytes) {
    await file.writeFile(block(Math.min(blockBytes, size - written)));
  }
  await file.close();
}

/** `tree/`: three levels of directories, `files` small files spread over them. */
async function seedTree(
  directory: string,
  files: number,
  bytes: number,
  random: DeterministicRandom,
): Promise<void> {
  const made = new Set<string>();
  for (let index = 0; index < files; index += 1) {
    let parent = directory;
    for (const level of ['', random.below(fanOut), random.below(fanOut)]) {
      parent = join(parent, `${level}`);
      if (!made.has(parent)) await createDirectory(parent);
      made.add(parent);
    }
    const size = random.below(Math.floor((2 * bytes) / files) + 1);
    await createFile(join(parent, `file-${index}`), random.bytes(size));
  }
}

/**
 * Fills the empty directory `directory` (made when missing): `tree/` holds ordinary small files, `large/` two files
 * that compress and two that do not, and the other folders what backup tools get wrong (seedOddities). Needs root
 * and Btrfs. Throws when the directory is not empty.
 */
export async function seedData(directory: string, options: SeedOptions): Promise<SeedSummary> {
  const { seed, files = 200, totalBytes = 8 * blockBytes } = options;
  if (files < 64) throw new Error(`files must be at least 64 (mutateData needs victims), got ${files}`);
  if ((await mkdir(directory, { recursive: true })) !== undefined) await chmod(directory, 0o755);
  if ((await readdir(directory)).length > 0) throw new Error(`${directory} must be empty to be seeded`);
  const random = deterministicRandom(`seed ${seed}`);
  const largeBytes = Math.floor(totalBytes / 5);

  await seedTree(join(directory, 'tree'), files, totalBytes - 4 * largeBytes, random);
  await createDirectory(join(directory, 'large'));
  for (const name of ['random-1', 'random-2']) {
    await writeLarge(join(directory, 'large', name), largeBytes, random.bytes);
  }
  for (const name of ['text-1', 'text-2']) {
    await writeLarge(join(directory, 'large', name), largeBytes, (length) =>
      Buffer.alloc(length, `${name} again. `),
    );
  }
  await seedOddities(directory, random);
  await stampTimes(directory, `seed ${seed}`);

  const entries = await walkTree(directory);
  const bytes = entries.reduce((sum, { stat }) => sum + (stat.isFile() ? Number(stat.size) : 0), 0);
  return { entries: entries.length - 1, bytes };
}
