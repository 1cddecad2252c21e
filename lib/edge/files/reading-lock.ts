/**
 * What a restore reads, or waits for while it thaws, must not be deleted under it: a timer may prune meanwhile. `flock(2)` on a file of RUN_DIR, which
 * restores share and a prune has alone.
 */
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { fileError, pathExists } from './files.ts';
import { lockFile } from './lock.ts';

/** A lock that is held. */
export interface Held {
  release(): Promise<void>;
}

/**
 * Takes it for a restore.
 * @returns undefined while a prune has it; where it cannot be taken at all, something that holds nothing: no restore fails for it
 */
export async function lockForReading(runDirectory: string): Promise<Held | undefined> {
  // Without RUN_DIR no prune has run here, and there may be no place for it.
  const isThere = await pathExists(runDirectory).catch(() => false);
  return isThere ? take(runDirectory, 'shared').catch(() => nothing) : nothing;
}

/** Takes it for a prune. @throws ToolError (locked) while anything is restored */
export async function lockForDeleting(runDirectory: string): Promise<Held> {
  const held = await take(runDirectory, 'alone');
  if (held) return held;
  throw new ToolError('a restore, drill or extract runs, which may need what would be deleted', {
    kind: 'locked',
    hint: 'wait until it has finished',
  });
}

const nothing: Held = { release: async () => undefined };

async function take(runDirectory: string, how: 'shared' | 'alone'): Promise<Held | undefined> {
  const path = join(runDirectory, '@reading/lock');
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'a', 0o600);
    if (await lockFile(file, path, how)) return { release: () => file.close() };
    await file.close();
    return undefined;
  } catch (error) {
    throw error instanceof ToolError ? error : fileError(`cannot lock ${path}`, error);
  }
}
