/**
 * The staging directory of a restore: beside TARGET, because a snapshot cannot leave its filesystem; 0700, because what is
 * in it is not yet what was asked for. Its name follows from TARGET's, so that the next restore to the same TARGET finds it. It is
 * locked while its restore runs, and as long as a `btrfs receive` of a killed one lives on.
 */
import { isUtf8 } from 'node:buffer';
import { createHash, randomUUID } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../../core/errors.ts';
import { type RestoreFile, restoreFileSchema } from '../../../core/format/restore-file.ts';
import { STAGING_PREFIX } from '../../../core/format/staging-name.ts';
import { deleteSubvolume, findSubvolumes } from '../../../edge/btrfs/btrfs.ts';
import { seal, sealed } from '../../../edge/files/checked-json.ts';
import { codeOf, fileError, pathExists, readJsonFile, writeJsonFile } from '../../../edge/files/files.ts';
import { lockFile } from '../../../edge/files/lock.ts';

const fullHint = 'make room there, or choose a TARGET on another filesystem, and run again';
const recordName = 'restore.json';

/** A killed restore leaves a `btrfs receive` that ends as soon as it has used up what is in its pipe. */
const lockTries = 50;
const lockPauseMs = 200;

/** A staging directory in use. */
export interface Staging {
  readonly path: string;
  /** The open directory, which holds the lock: whoever inherits it holds the lock too. */
  readonly lock: FileHandle;
  /** A path in it at which nothing is. */
  freePath(): string;
  /** What restore.json says; undefined when there is none, or it was changed since it was written. */
  readRecord(): Promise<RestoreFile | undefined>;
  writeRecord(record: RestoreFile): Promise<void>;
  /** Removes all subvolumes in it but one. */
  keepOnly(name: string | undefined): Promise<void>;
  /** Removes all subvolumes in it, restore.json, and itself. */
  remove(): Promise<void>;
  /** Gives the lock back. */
  close(): Promise<void>;
}

/** Where the staging directory of a TARGET is: beside it, under a name that any TARGET leaves room for. */
export function stagingPath(target: string): string {
  const digest = createHash('sha256').update(basename(target)).digest('hex').slice(0, 16);
  return join(dirname(target), `${STAGING_PREFIX}${digest}`);
}

/**
 * Opens the staging directory of a TARGET, and makes it where there is none.
 * @throws ToolError when the parent cannot be written, and (locked) when another restore uses it.
 */
export async function openStaging(target: string): Promise<Staging> {
  const path = stagingPath(target);
  for (;;) {
    try {
      await mkdir(path, { mode: 0o700 }).catch((cause: unknown) => {
        if (codeOf(cause) !== 'EEXIST') throw cause;
      });
      const staging = await lockStaging(path, lockTries);
      // Whoever held the lock has removed it since.
      if (staging === 'gone') continue;
      if (staging) return staging;
    } catch (cause) {
      if (cause instanceof ToolError) throw cause;
      throw fileError(`cannot make a staging directory in ${dirname(target)}`, cause, undefined, fullHint);
    }
    throw new ToolError(`another restore to ${target} is under way`, {
      kind: 'locked',
      hint: `wait until it has finished; it works in ${path}`,
    });
  }
}

/**
 * Takes a staging directory that is there.
 * @returns undefined when a restore uses it; `gone` when it is not there any more.
 */
export async function lockStaging(path: string, tries = 1): Promise<Staging | 'gone' | undefined> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const lock = await open(path, flags).catch((cause: unknown) => {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw cause;
  });
  if (!lock) return 'gone';
  try {
    if ((await lock.stat()).uid !== process.getuid?.()) {
      throw new ToolError(`${path} belongs to another user, who could change what is restored`, {
        hint: 'remove it, or choose another TARGET',
      });
    }
    for (let tried = 1; !(await lockFile(lock, path)); tried++) {
      if (tried >= tries) return await giveBack(lock, undefined);
      await sleep(lockPauseMs);
    }
    if (!(await isStillAt(lock, path))) return await giveBack(lock, 'gone');
    return stagingAt(path, lock);
  } catch (error) {
    await lock.close();
    throw error;
  }
}

function stagingAt(path: string, lock: FileHandle): Staging {
  const record = join(path, recordName);
  return {
    path,
    lock,
    freePath: () => join(path, randomUUID()),
    readRecord: () => readJsonFile(record, sealed(restoreFileSchema)).catch(() => undefined),
    async writeRecord(file) {
      await writeJsonFile(record, seal(file)).catch((cause: unknown) => {
        throw new ToolError(cause instanceof Error ? cause.message : String(cause), {
          hint: fullHint,
          cause,
        });
      });
    },
    keepOnly: (name) => removeSubvolumes(path, name),
    async remove() {
      if (!(await pathExists(path))) return;
      await removeSubvolumes(path, undefined);
      await removeRecords(path);
      await rmdir(path);
    },
    close: () => lock.close(),
  };
}

async function giveBack<Answer>(lock: FileHandle, answer: Answer): Promise<Answer> {
  await lock.close();
  return answer;
}

async function isStillAt(lock: FileHandle, path: string): Promise<boolean> {
  const [held, found] = [await lock.stat(), await stat(path).catch(() => undefined)];
  return held.ino === found?.ino && held.dev === found.dev;
}

/** Moves a writable subvolume out of a staging directory to where nothing is. @throws ToolError when it cannot */
export async function moveOut(path: string, target: string): Promise<void> {
  try {
    await rename(path, target);
  } catch (cause) {
    throw fileError(`cannot move the restored subvolume to ${target}`, cause, undefined, fullHint);
  }
}

async function removeSubvolumes(path: string, but: string | undefined): Promise<void> {
  await renameUnnameable(path);
  for (const { path: subvolume, name } of (await findSubvolumes(path)).toReversed()) {
    if (name !== but) await deleteSubvolume(subvolume);
  }
}

/** Gives names that cannot be passed to a child process a printable one; a read-only subvolume can be renamed in its own directory. */
async function renameUnnameable(directory: string): Promise<void> {
  const names = await readdir(directory, { encoding: 'buffer' });
  for (const name of names.filter((each) => !isUtf8(each))) {
    await rename(Buffer.concat([Buffer.from(`${directory}/`), name]), join(directory, randomUUID()));
  }
}

/** restore.json and what a power cut may leave of writing it. */
async function removeRecords(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (/^restore\.json(\.[0-9a-f]{8}\.tmp)?$/.test(name)) await rm(join(path, name));
  }
}
