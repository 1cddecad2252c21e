/** Files that are written whole or not at all, and read back through a schema. */
import { randomBytes } from 'node:crypto';
import { constants as flags } from 'node:fs';
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { ToolError } from '../../core/errors.ts';

/** open(2): a descriptor that names a file, and neither reads, writes nor waits for it. Node has no constant for it. */
export const O_PATH = 0o10000000;

/**
 * Writes JSON beside the target, flushes it, renames it into place and flushes the directory, so that after a crash
 * there is the old file or the new one.
 * @throws ToolError when it cannot be written; nothing is left behind then.
 */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw fileError(`cannot write ${path}`, cause);
  });
  await writeTextFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Writes a text in the same way, into a directory that is there.
 * @param fullHint as fileError has it
 * @throws ToolError when it cannot be written
 */
export async function writeTextFile(path: string, text: string, fullHint?: string): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFlushed(temporary, text);
    await rename(temporary, path);
    await flushDirectory(dirname(path));
  } catch (cause) {
    // Where this fails too, the first failure is the one to report.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(`cannot write ${path}`, cause, undefined, fullHint);
  }
}

/** A file of ours does not say what was written. Whoever can do without it may set it aside. */
export class DamagedFile extends ToolError {
  constructor(message: string, cause?: unknown) {
    super(message, {
      hint: 'run make backup, which sets it aside, or remove it; nothing that is published depends on it',
      cause,
    });
  }
}

/**
 * Reads JSON that an earlier stage wrote; undefined when there is none.
 * @throws DamagedFile when it is not what the schema says, ToolError when it cannot be read.
 */
export async function readJsonFile<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw fileError(`cannot read ${path}`, cause);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new DamagedFile(`${path} cannot be understood`, cause);
  }
}

/** Makes a file without a name, which is gone when it is closed, also by a kill (open(2), O_TMPFILE; Node has no constant for it). */
const NAMELESS = 0o20000000 | flags.O_DIRECTORY | flags.O_RDWR;

/** @throws ToolError with what it is for, where nothing can be made in a directory, as on a read-only mount */
export async function checkWritable(directory: string, what: string): Promise<void> {
  try {
    await (await open(directory, NAMELESS, 0o600)).close();
  } catch (cause) {
    throw fileError(what, cause, undefined, 'make room there');
  }
}

/** True when there is something at a path; a dangling link counts. */
export async function pathExists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return false;
    throw fileError(`cannot look at ${path}`, cause);
  }
}

/**
 * An error of the file system in words.
 * @param fullHint for a full disk, which users meet most; by default about RUN_DIR, where nearly all files of ours are.
 */
export function fileError(
  what: string,
  cause: unknown,
  otherHint?: string,
  fullHint = 'make room, or set RUN_DIR to another disk, and run again',
): ToolError {
  const code = codeOf(cause);
  const says = {
    ENOSPC: 'the disk is full',
    EDQUOT: 'the quota is used up',
    EACCES: 'permission was denied',
    EPERM: 'permission was denied',
    EROFS: 'the filesystem is read-only',
    ENOENT: 'it does not exist',
    ENOTDIR: 'a part of the path is not a directory',
  }[code];
  const isDenied = code === 'EACCES' || code === 'EPERM';
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  // What root owns is denied to others, whatever else may be said of the path.
  const hint = isFull ? fullHint : isDenied && process.geteuid?.() !== 0 ? asRoot(otherHint) : otherHint;
  return new ToolError(`${what}: ${says ?? (cause instanceof Error ? cause.message : String(cause))}`, {
    ...(hint && { hint }),
    cause,
  });
}

function asRoot(otherHint: string | undefined): string {
  return otherHint ? `run as root, or ${otherHint}` : 'run as root, such as with sudo';
}

/** The code of a system error such as `ENOENT`; empty for anything else. libuv has no name for EDQUOT (uv.h, UV_ERRNO_MAP). */
export function codeOf(error: unknown): string {
  if (error instanceof Error && 'errno' in error && error.errno === -constants.errno.EDQUOT) return 'EDQUOT';
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/**
 * Writes a new file, 0600, and waits until it is on disk.
 * @throws the system's error, `EEXIST` where the path is taken; nothing of it is left then, as an empty file would take the path
 */
export async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    // Where this fails too, the first failure is the one to report.
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
