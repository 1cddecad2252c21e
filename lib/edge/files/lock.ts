/** One run per host: `flock(2)` on RUN_DIR/lock. The kernel drops it with the process, so it cannot go stale. */
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { command } from '../process/child.ts';
import { codeOf, fileError } from './files.ts';

/** A held lock. */
export interface Lock {
  release(): Promise<void>;
}

/** The exit code by which flock(1) says that another process holds the lock. */
const conflictCode = 75;

/**
 * Takes the lock, and one on RUN_DIR itself: the file can be deleted while it is held, and a new file of that name would have
 * another lock.
 * @throws ToolError (locked) with the holder's process id and start time.
 */
export async function takeLock(runDirectory: string): Promise<Lock> {
  const path = join(runDirectory, 'lock');
  const opened: FileHandle[] = [];
  const release = async () => {
    for (const file of opened) await file.close();
  };
  try {
    const file = await openWithin(runDirectory, path, opened);
    for (const each of opened) await lock(each, path, each === file);
    await file.truncate(0);
    await file.write(`process ${process.pid}, since ${new Date().toISOString()}\n`);
  } catch (error) {
    await release();
    if (error instanceof ToolError) throw error;
    throw fileError(`cannot write ${path}`, error);
  }
  return { release };
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
 * the lock is ours after it has exited, and until the file is closed.
 * @throws ToolError when it cannot be locked at all; `path` is for the message.
 */
export async function lockFile({ fd }: FileHandle, path: string): Promise<boolean> {
  const { exitCode, stderr } = await command({
    stdio: ['ignore', 'pipe', 'pipe', fd],
  })`flock --nonblock --conflict-exit-code ${conflictCode} 3`;
  if (exitCode === 0 || exitCode === conflictCode) return exitCode === 0;
  throw new ToolError(`cannot lock ${path}`, { childOutput: stderr });
}

async function lock(file: FileHandle, path: string, isNeeded: boolean): Promise<void> {
  const isOurs = await lockFile(file, path).catch((error: unknown) => {
    // Some network filesystems lock files, but no directories.
    if (isNeeded) throw error;
    return true;
  });
  if (!isOurs) {
    throw new ToolError(`another run holds the lock ${path}: ${await nameHolder(path)}`, {
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
  const text = await readFile(path, 'utf8').catch(() => '');
  const match = /^process (\d{1,10}), since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\n$/.exec(text);
  return match && isAlive(Number(match[1])) ? match[0].trim() : 'its process is unknown';
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch (error) {
    // A process of another user is alive, too.
    return codeOf(error) === 'EPERM';
  }
}
