/** TO: a directory on any filesystem. What is copied waits in a locked directory of ours in it, and is moved to its place when it is whole. */
import { mkdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { describeError, ToolError } from '../../../core/errors.ts';
import { mountOf } from '../../../edge/btrfs/mounts/mounts.ts';
import { type Capabilities, capabilitiesOf } from '../../../edge/copy/capabilities.ts';
import { topPaths } from '../../../edge/copy/look-up.ts';
import { whyNoPlace } from '../../../edge/copy/place.ts';
import { fileError, pathExists } from '../../../edge/files/files.ts';
import { makeLockedDirectory, sweepAbandoned } from '../../../edge/files/locked-directory.ts';
import type { StageContext } from '../../context.ts';
import { tellSwept } from '../scratch/restore-in-scratch.ts';

const namePrefix = '.btrfs-to-s3-extract-';

/** Where the paths go. */
export interface Destination {
  readonly path: string;
  readonly isThere: boolean;
}

/**
 * Checks TO, and that nothing is where the paths go.
 * @throws ToolError (usage)
 */
export async function checkDestination(to: string, paths: readonly string[]): Promise<Destination> {
  const path = resolve(to);
  if (!(await pathExists(path))) {
    if (await pathExists(dirname(path))) return { path, isThere: false };
    throw usage(`the directory ${dirname(path)} does not exist`, `make it: mkdir -p ${dirname(path)}`);
  }
  const status = await stat(path).catch((cause: unknown) => {
    throw fileError(`cannot use TO ${path}`, cause);
  });
  if (!status.isDirectory()) throw usage(`TO ${path} is not a directory`, 'name a directory');
  for (const wanted of paths) {
    const problem = wanted === '/' ? await whyNotEmpty(path) : await whyNoPlace(path, status.dev, wanted);
    if (problem !== undefined) {
      throw usage(problem, 'move it away, or name another TO: nothing is ever written over');
    }
  }
  return { path, isThere: true };
}

/** TO in use. */
export interface OpenDestination {
  readonly path: string;
  /** A directory of ours on its filesystem. */
  readonly staging: string;
  readonly device: number;
  readonly keeps: Capabilities;
  /** Of the filesystem, as Linux calls it. */
  readonly type: string;
  /** Removes what is of ours; TO itself too, where it was made for this and nothing is in it. */
  close(): Promise<void>;
}

/**
 * Makes TO where it is missing, finds out what its filesystem keeps, and removes what killed runs have left there.
 * @throws ToolError when nothing can be written there
 */
export async function openDestination(
  context: StageContext,
  { path, isThere }: Destination,
): Promise<OpenDestination> {
  const failed = (cause: unknown): never => {
    if (cause instanceof ToolError) throw cause;
    throw fileError(`cannot write to TO ${path}`, cause, undefined, 'make room there, or name another TO');
  };
  if (!isThere) await mkdir(path).catch(failed);
  const locked = await makeLockedDirectory(path, namePrefix).catch(failed);
  const close = async () => {
    await empty(locked.path);
    await locked.remove();
    if (!isThere) await rmdir(path).catch(() => undefined);
  };
  try {
    const staging = join(locked.path, 'tree');
    await mkdir(staging);
    const keeps = await capabilitiesOf(staging);
    tellSwept(context, await sweepAbandoned(path, namePrefix, empty, !keeps.owners), 'a killed extract');
    const { type } = await mountOf(path);
    tellLosses(context, path, type, keeps);
    return { path, staging, device: (await stat(path)).dev, keeps, type, close };
  } catch (error) {
    await close().catch((second: unknown) => context.log.warn(describeError(second)));
    return failed(error);
  }
}

async function empty(directory: string): Promise<void> {
  // Whoever wrote there may be ending at this moment.
  await rm(join(directory, 'tree'), { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

async function whyNotEmpty(path: string): Promise<string | undefined> {
  const found = (await topPaths(path)).filter((name) => !name.startsWith(`/${namePrefix}`));
  // What every fresh ext filesystem has.
  return found.every((name) => name === '/lost+found') ? undefined : `${path} is not empty`;
}

function tellLosses({ log }: StageContext, path: string, type: string, keeps: Capabilities): void {
  const where = `${path} (${type})`;
  if (!keeps.owners)
    log.warn(`${where} keeps no owners: permissions, ACLs, attributes and special files are lost`);
  if (!keeps.symlinks) log.warn(`${where} keeps no symbolic links: they are left out`);
  if (!keeps.hardLinks) log.warn(`${where} keeps no hard links: each name gets a file of its own`);
  if (!keeps.cases)
    log.warn(`${where} takes "a" and "A" for one name: names that differ in case alone become one`);
}

function usage(message: string, hint: string): ToolError {
  return new ToolError(message, { kind: 'usage', hint });
}
