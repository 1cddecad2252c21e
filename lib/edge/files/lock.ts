/** One run per host: `flock(2)` on RUN_DIR/lock. The kernel drops it with the process, so it cannot go stale. */
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { command, commandError } from '../process/child.ts';
import { codeOf, fileError } from './files.ts';

/** A held lock. */
export interface Lock {
  /** The run that held it before and did not release it: it was killed. As it wrote of itself; undefined where there is none. */
  readonly killed: string | undefined;
  release(): Promise<void>;
}

/** Stands in the file while its lock is held; earlier versions let what they wrote stand. */
const heldMark = 'this file is emptied when it ends\n';

/** The exit code by which flock(1) says that another process holds the lock. */
const conflictCode = 75;

/**
 * Takes the lock, and one on RUN_DIR itself: the file can be deleted while it is held, and a new file of that name would have
 * another lock.
 * @param who says what else may hold it
 * @throws ToolError (locked) with the holder's process id and start time.
 */
export async function takeLock(runDirectory: string, who = 'another run'): Promise<Lock> {
  const path = join(runDirectory, 'lock');
  const opened: FileHandle[] = [];
  const close = async () => {
    for (const file of opened) await file.close();
  };
  try {
    const file = await openWithin(runDirectory, path, opened);
    for (const each of opened) await lock(each, path, { who, isNeeded: each === file });
    const before = await readFile(path, 'utf8').catch(() => '');
    await file.truncate(0);
    await file.write(`process ${process.pid}, since ${new Date().toISOString()}\n${heldMark}`);
    const release = async () => {
      // What the file says only helps to explain; a full disk must not make a failure of it.
      await file.truncate(0).catch(() => undefined);
      await close();
    };
    return { killed: before.endsWith(heldMark) ? holderIn(before) : undefined, release };
  } catch (error) {
    await close();
    if (error instanceof ToolError) throw error;
    throw fileError(`cannot write ${path}`, error);
  }
}

/** Opens the lock file, then RUN_DIR, which is made where it is missing. No child inherits them: Node opens with O_CLOEXEC. */
async function openWithin(runDirectory: string, path: string, opened: FileHandle[]): Promise<FileHandle> {
  try {
    await mkdir(runDirectory, { recursive: true, mode: 0o700 });
    const file = await open(path, 'a', 0o600);
    opened.push(file);
    opened.push(await open(runDirectory));
    return file;
  } catch (cause) {
    throw fileError(
      `cannot use RUN_DIR ${runDirectory}`,
      cause,
      'set RUN_DIR to a directory that can be written',
    );
  }
}

/**
 * Locks an open file or directory: false when another process holds its lock. flock(1) locks the open file that it is given, so
 * the lock is ours after it has exited, and until the file is closed. Shared, it keeps out only those who want it alone.
 * @throws ToolError when it cannot be locked at all; `path` is for the message.
 */
export async function lockFile(
  { fd }: FileHandle,
  path: string,
  how: 'alone' | 'shared' = 'alone',
): Promise<boolean> {
  const kind = how === 'alone' ? '--exclusive' : '--shared';
  const { exitCode, stderr } = await command({
    stdio: ['ignore', 'pipe', 'pipe', fd],
  })`flock ${kind} --nonblock --conflict-exit-code ${conflictCode} 3`;
  if (exitCode === 0 || exitCode === conflictCode) return exitCode === 0;
  throw commandError(`cannot lock ${path}`, stderr);
}

async function lock(
  file: FileHandle,
  path: string,
  { who, isNeeded }: { readonly who: string; readonly isNeeded: boolean },
): Promise<void> {
  const isOurs = await lockFile(file, path).catch((error: unknown) => {
    // Some network filesystems lock files, but no directories.
    if (isNeeded) throw error;
    return true;
  });
  if (!isOurs) {
    throw new ToolError(`${who} holds the lock ${path}: ${await nameHolder(path)}`, {
      kind: 'locked',
      hint: 'wait until it has finished',
    });
  }
}

/**
 * What the holder wrote. Anything else is not shown: a terminal must not act upon what stands in a file, and the holder before
 * this one may have been killed.
 */
async function nameHolder(path: string): Promise<string> {
  const holder = holderIn(await readFile(path, 'utf8').catch(() => ''));
  const [, processId] = /^process (\d+)/.exec(holder ?? '') ?? [];
  return holder !== undefined && isAlive(Number(processId)) ? holder : 'its process is unknown';
}

function holderIn(text: string): string | undefined {
  const line = text.endsWith(heldMark) ? text.slice(0, -heldMark.length) : text;
  return /^process \d{1,10}, since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\n$/.test(line)
    ? line.trim()
    : undefined;
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch (error) {
    // A process of another user is alive, too.
    return codeOf(error) === 'EPERM';
  }
}
