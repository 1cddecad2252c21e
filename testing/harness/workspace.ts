/**
 * The folder of one run, below testing/run/ or another folder. Its name records its owner, and every process that works for it carries it
 * as a mark, so that what a killed run left is found and removed by the next one.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { processStartTicks } from './mount-table.ts';
import { endProcessesWithMark } from './processes/marked-processes.ts';
import { plainEnvironment } from './processes/plain-environment.ts';
import { repositoryRoot, testDirectory } from './test-directory.ts';

/** A folder that its creator must remove. */
export interface Workspace {
  readonly directory: string;
  /** What its processes see of the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The variable by which its processes are found: part of `environment`, for commands that see another one. */
  readonly mark: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

const markVariable = 'BTRFS_TO_S3_WORKSPACE';

/**
 * Makes the folder, readable by its owner alone.
 * @param kind what runs in it: small letters and dashes, with which the folder's name begins.
 * @param parent a folder that exists.
 */
export async function createWorkspace(kind: string, parent = testDirectory()): Promise<Workspace> {
  const owner = `${process.pid}-${await processStartTicks(process.pid)}`;
  const directory = join(parent, `${kind}-${owner}`);
  await mkdir(directory, { mode: 0o700 });
  const mark = { [markVariable]: directory };
  const environment = plainEnvironment(mark);
  return { directory, environment, mark, remove: () => rm(directory, { recursive: true, force: true }) };
}

/**
 * Ends the processes and removes the folders of runs of this kind whose owner is dead. Their filesystems go with the next
 * createLoopFilesystem, once no process holds them.
 * @returns how many runs were cleaned up after.
 */
export async function sweepDeadWorkspaces(kind: string, root = testDirectory()): Promise<number> {
  let swept = 0;
  for (const name of await readdir(root)) {
    const owner = /^(?<kind>[a-z0-9-]+)-(?<pid>\d+)-(?<ticks>\d+)$/.exec(name)?.groups;
    if (owner?.kind !== kind || (await processStartTicks(Number(owner.pid))) === owner.ticks) continue;
    await endProcessesWithMark(`${markVariable}=${join(root, name)}`);
    await rm(join(root, name), { recursive: true, force: true });
    swept += 1;
  }
  return swept;
}

/** A path as it is typed in the checkout's root. */
export function fromRoot(path: string): string {
  return relative(repositoryRoot, path);
}
