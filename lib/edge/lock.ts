/** One run per host: `flock(2)` on RUN_DIR/lock. The kernel drops it with the process, so it cannot go stale. */
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolError } from '../core/errors.ts';
import { command } from './child.ts';
import { fileError } from './files.ts';

/** A held lock. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Locks an open file or directory: false when somebody else holds its lock. flock(1) locks the open file that it inherits, so
 * that the lock is ours after it has exited, and until the file is closed.
 * @throws ToolError when it cannot be locked at all; `path` is for the message.
 */
export async function lockFile({ fd }: FileHandle, path: string): Promise<boolean> {
  const { exitCode, stderr } = await command({
    stdio: ['ignore', 'pipe', 'pipe', fd],
  })`flock --nonblock --conflict-exit-code 75 3`;
  if (exitCode === 0 || exitCode === 75) return exitCode === 0;
  throw new ToolError(`cannot lock ${path}`, { childOutput: stderr });
}

/**
 * Takes the lock.
 * @throws ToolError (locked) with the holder's process id and start time.
 */
export async function takeLock(runDirectory: string): Promise<Lock> {
  const path = join(runDirectory, 'lock');
  let file: FileHandle;
  try {
    await mkdir(runDirectory, { recursive: true, mode: 0o700 });
    file = await open(path, 'a', 0o600);
  } catch (cause) {
    throw fileError(`cannot use RUN_DIR ${runDirectory}`, cause);
  }
  const isLocked = await lockFile(file, path).catch(async (error: unknown) => {
    await file.close();
    throw error;
  });
  if (!isLocked) {
    await file.close();
    const holder = (await readFile(path, 'utf8')).trim() || 'another run';
    throw new ToolError(`another run holds the lock ${path}: ${holder}`, {
      kind: 'locked',
      hint: 'wait until it has finished',
    });
  }
  try {
    await file.truncate(0);
    await file.write(`process ${process.pid}, since ${new Date().toISOString()}\n`);
  } catch (cause) {
    await file.close();
    throw fileError(`cannot write ${path}`, cause);
  }
  return { release: () => file.close() };
}
