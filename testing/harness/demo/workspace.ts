/**
 * The folder of one demonstration, below testing/run/. Its name records its owner, and every process that works for
 * it carries it as a mark, so that what a killed demonstration left is found and removed by the next one.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { processStartTicks } from '../mount-table.ts';
import { endProcessesWithMark } from '../processes/marked-processes.ts';
import { plainEnvironment } from '../processes/plain-environment.ts';
import { repositoryRoot, testDirectory } from '../test-directory.ts';

/** A folder that its creator must remove. */
export interface Workspace {
  readonly directory: string;
  /** What its processes see of the environment. */
  readonly environment: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

const markVariable = 'BTRFS_TO_S3_DEMO';

/** Makes the folder, readable by its owner alone. */
export async function createWorkspace(): Promise<Workspace> {
  const directory = join(testDirectory(), `demo-${process.pid}-${await processStartTicks(process.pid)}`);
  await mkdir(directory, { mode: 0o700 });
  const environment = plainEnvironment({ [markVariable]: directory });
  return { directory, environment, remove: () => rm(directory, { recursive: true, force: true }) };
}

/**
 * Ends the processes and removes the folders of demonstrations whose owner is dead. Their filesystems go with the next
 * createLoopFilesystem, once no process holds them.
 * @returns how many demonstrations were cleaned up after.
 */
export async function sweepDeadWorkspaces(): Promise<number> {
  const root = testDirectory();
  let swept = 0;
  for (const name of await readdir(root)) {
    const owner = /^demo-(?<pid>\d+)-(?<ticks>\d+)$/.exec(name)?.groups;
    if (!owner || (await processStartTicks(Number(owner.pid))) === owner.ticks) continue;
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
