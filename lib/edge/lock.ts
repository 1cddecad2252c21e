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
 * Takes the lock. flock(1) locks the open file that it inherits, so the lock is ours after it has exited.
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
  const result = await command({
    stdio: ['ignore', 'pipe', 'pipe', file.fd],
  })`flock --nonblock --conflict-exit-code 75 3`;
  if (result.exitCode !== 0) {
    await file.close();
    if (result.exitCode !== 75) throw new ToolError(`cannot lock ${path}`, { childOutput: result.stderr });
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
