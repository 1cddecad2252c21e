/**
 * Parts of a stream on disk, so that a restore that is stopped fetches none of them twice. What is in a file is not trusted: whoever
 * reads it hashes it, as what comes from the network.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, fileError } from './files.ts';

/** Bytes of an object, which a file holds. */
interface Piece {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
}

const directoryPrefix = 'btrfs-to-s3-restore-';
const fullHint = 'set SPOOL_DIR to a larger disk';

/** One read or write takes no more than 2 GiB. */
const mostAtOnce = 2 ** 30;

/** The parts of one restore in a directory of their own. */
export class KeptParts {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** A fresh directory below SPOOL_DIR, which is made when parts are kept. */
  static below(spoolDirectory: string): KeptParts {
    return new KeptParts(join(spoolDirectory, `${directoryPrefix}${randomUUID()}`));
  }

  /** Those that an earlier restore kept. */
  static at(directory: string): KeptParts {
    return new KeptParts(directory);
  }

  /** Fills the target with a piece; false when it is not there, or not whole. */
  async load(piece: Piece, target: Uint8Array): Promise<boolean> {
    const file = await open(this.#path(piece), 'r').catch(() => undefined);
    if (!file) return false;
    try {
      if ((await file.stat()).size !== piece.length) return false;
      return await readAll(file, target.subarray(0, piece.length));
    } catch {
      // A disk that fails to give it back: it is fetched again.
      return false;
    } finally {
      await file.close();
    }
  }

  /**
   * Keeps a piece: whole, or not at all.
   * @throws ToolError when it cannot be written
   */
  async keep(piece: Piece, bytes: Uint8Array): Promise<void> {
    const path = this.#path(piece);
    const temporary = `${path}.tmp`;
    try {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      const file = await open(temporary, 'w', 0o600);
      try {
        await writeAll(file, bytes);
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw fileError(`cannot keep a part in ${this.directory}`, cause, undefined, fullHint);
    }
  }

  /** Bytes that are kept. */
  async bytes(): Promise<number> {
    let bytes = 0;
    for (const name of await this.#names()) {
      bytes += (await stat(join(this.directory, name)).catch(() => undefined))?.size ?? 0;
    }
    return bytes;
  }

  /** Removes the directory with all that is kept. */
  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  async #names(): Promise<readonly string[]> {
    return readdir(this.directory).catch((cause: unknown) => {
      if (codeOf(cause) === 'ENOENT') return [];
      throw fileError(`cannot read ${this.directory}`, cause);
    });
  }

  #path({ key, offset, length }: Piece): string {
    const object = createHash('sha256').update(key).digest('hex').slice(0, 16);
    return join(this.directory, `${object}-${offset}-${length}.part`);
  }
}

async function readAll(file: FileHandle, target: Uint8Array): Promise<boolean> {
  for (let at = 0; at < target.length; ) {
    const { bytesRead } = await file.read(target, at, Math.min(mostAtOnce, target.length - at), at);
    if (bytesRead === 0) return false;
    at += bytesRead;
  }
  return true;
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(mostAtOnce, bytes.length - at), at);
    // What a file takes only in part, the disk has no room for.
    if (bytesWritten === 0) throw Object.assign(new Error('short write'), { code: 'ENOSPC' });
    at += bytesWritten;
  }
}
