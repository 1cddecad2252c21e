/**
 * What a restore reads, or waits for while it thaws, must not be deleted under it: a timer may prune meanwhile. `flock(2)` on a file of RUN_DIR, which
 * restores share and a prune has alone.
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { codeOf, fileError, pathExists } from './files.ts';
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
  let file: FileHandle | undefined;
  try {
    file = await openFile(path);
    if (await lockFile(file, path, how)) {
      const held = file;
      return { release: () => held.close() };
    }
    await file.close();
    return undefined;
  } catch (error) {
    await file?.close().catch(() => undefined);
    throw error instanceof ToolError ? error : fileError(`cannot lock ${path}`, error);
  }
}

/**
 * Opens the file for writing, without which some network filesystems do not lock it, or else for reading. A restore is root's, and a prune may
 * be of the user that RUN_DIR belongs to: what one has made the other can lock, and RUN_DIR keeps all others out.
 */
async function openFile(path: string): Promise<FileHandle> {
  const directory = dirname(path);
  // Whatever the umask is.
  if (await mkdir(directory, { recursive: true })) await chmod(directory, 0o755);
  const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  const isNew = !(await pathExists(path));
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644).catch((error: unknown) => {
    if (codeOf(error) === 'EACCES') return open(path, 'r');
    throw error;
  });
  if (isNew) await file.chmod(0o644).catch(() => undefined);
  return file;
}
