/** Changes a seeded data set in every way that an incremental backup must carry over. */
import { appendFile, chmod, chown, link, open, rename, rm, symlink, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type DeterministicRandom, deterministicRandom } from './deterministic-random.ts';
import { shell } from './processes/shell.ts';
import { createDirectory, createFile } from './seed-oddities.ts';
import { stampTimes } from './stamp-times.ts';
import { walkTree } from './walk-tree.ts';

/** `round` counts from 1; each round makes its own changes, and comes after the one before it. */
export type MutateOptions = { readonly seed: number; readonly round: number };

/** The victims of one round: absolute paths, none of which is handed out twice. */
type Round = {
  readonly number: number;
  readonly random: DeterministicRandom;
  /** A regular file of `tree/`. */
  readonly takeFile: () => string;
  /** A directory of `tree/` without subdirectories. */
  readonly takeFolder: () => string;
  /** A path of the data set itself. */
  readonly at: (path: string) => string;
};

async function prepareRound(directory: string, { seed, round }: MutateOptions): Promise<Round> {
  const random = deterministicRandom(`seed ${seed} round ${round}`);
  const tree = (await walkTree(join(directory, 'tree'))).map(({ path, stat }) => ({
    path: join(directory, 'tree', path.toString()),
    stat,
  }));
  const parents = new Set(tree.filter(({ stat }) => stat.isDirectory()).map(({ path }) => dirname(path)));
  const folders = tree
    .filter(({ path, stat }) => stat.isDirectory() && !parents.has(path))
    .map(({ path }) => path);
  const chosen = [random.take(folders), random.take(folders)];
  // The files of the two directories that go away are no victims, so that the changes may come in any order.
  const files = tree
    .filter(({ path, stat }) => stat.isFile() && !chosen.includes(dirname(path)))
    .map(({ path }) => path);
  return {
    number: round,
    random,
    takeFile: () => random.take(files),
    takeFolder: () => random.take(chosen),
    at: (path) => join(directory, path),
  };
}

async function createEntries({ number, random, takeFile, at }: Round): Promise<void> {
  const folder = at(`tree/round-${number}`);
  await createDirectory(folder);
  for (let index = 0; index < 16; index += 1) {
    await createFile(join(folder, `created-${index}`), random.bytes(random.below(20_000)));
  }
  await link(takeFile(), join(folder, 'hard-link'));
  await symlink(`target-${number}`, join(folder, 'symlink'));
  const run = shell;
  await run`cp --reflink=always --preserve=mode -- ${takeFile()} ${join(folder, 'reflink-of-small')}
    cp --reflink=always --preserve=mode -- ${at('large/random-1')} ${join(folder, 'reflink-of-large')}`;
}

async function overwrite(path: string, random: DeterministicRandom, length: number): Promise<void> {
  const file = await open(path, 'r+');
  const { size } = await file.stat();
  await file.write(random.bytes(length), 0, length, random.below(size + 1));
  await file.close();
}

async function changeContents({ random, takeFile, at }: Round): Promise<void> {
  for (const path of [takeFile(), at('large/text-1'), at('layouts/inline-2047')]) {
    await appendFile(path, random.bytes(1 + random.below(50_000)));
  }
  for (const path of [
    takeFile(),
    at('large/random-2'),
    at('layouts/reflink-copy'),
    at('layouts/preallocated'),
  ]) {
    await overwrite(path, random, 1 + random.below(5000));
  }
  await truncate(takeFile(), 0);
  await truncate(takeFile(), random.below(40_000));
  const offset = 4096 * random.below(16);
  await shell`fallocate --punch-hole --offset ${offset} --length 12288 ${at('large/random-1')}`;
}

async function changeNames({ number, takeFile, takeFolder, at }: Round): Promise<void> {
  await rm(takeFile());
  await rm(takeFile());
  const renamed = takeFile();
  await rename(renamed, `${renamed}-renamed-${number}`);
  const moved = takeFile();
  await rename(moved, at(`tree/${basename(moved)}-moved-${number}`));
  await rename(takeFolder(), at(`tree/moved-${number}`));

  const nowDirectory = takeFile();
  await rm(nowDirectory);
  await createDirectory(nowDirectory);
  await createFile(join(nowDirectory, 'inside'), 'was a file');
  const nowFile = takeFolder();
  await rm(nowFile, { recursive: true });
  await createFile(nowFile, 'was a directory');

  await rm(at('links/retargeted'));
  await symlink(`after round ${number}`, at('links/retargeted'));
}

async function changeMetadata({ number, takeFile, at }: Round): Promise<void> {
  await chmod(takeFile(), number % 2 === 0 ? 0o4711 : 0o600);
  await chown(takeFile(), 1000 + number, 2000 + number);
  const run = shell;
  // Odd rounds remove the attribute that seeding and even rounds set.
  const change = number % 2 === 0 ? ['--value', `${number}`, '--name'] : ['--remove'];
  await run`setfattr --name user.round --value ${number} ${takeFile()}
    setfattr --name user.note --value ${`round ${number}`} ${at('metadata/attributes')}
    setfattr ${change} user.seed ${at('metadata/removable')}
    setfacl --modify u:${3000 + number}:rw ${at('metadata/acl')}
    touch --no-dereference --date=@${1_000_000_000 + number}.000000001 ${takeFile()}`;
}

/**
 * One round of changes to what seedData made: create, append, overwrite, truncate, extend, punch, delete, rename
 * (files and a directory), a file that becomes a directory and the reverse, hard link, reflink copy, symlink target,
 * mode, owner, attributes set, changed and removed, ACL, and a change of mtime alone. The result depends only on the
 * seed and on the rounds so far. Throws when earlier rounds left too few files in `tree/`.
 */
export async function mutateData(directory: string, options: MutateOptions): Promise<void> {
  // The kernel stamps files with a clock that lags a few milliseconds behind the one of the process.
  const startedAtMs = BigInt(Date.now() - 1000);
  const round = await prepareRound(directory, options);
  await createEntries(round);
  await changeContents(round);
  await changeNames(round);
  await changeMetadata(round);
  const endedAtMs = BigInt(Date.now());
  await stampTimes(
    directory,
    `seed ${options.seed} round ${options.round}`,
    ({ stat }) => stat.mtimeMs >= startedAtMs && stat.mtimeMs <= endedAtMs,
  );
}
