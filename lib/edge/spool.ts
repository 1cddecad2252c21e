/** A file in which bytes wait until it is known whether they may be used. */
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB } from '../core/units.ts';
import { fileError } from './files.ts';

/** A spool file of this process. */
export class Spool {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Opens an empty spool in a directory, which is made when it is missing. */
  static async open(directory: string): Promise<Spool> {
    const path = join(directory, `spool-${process.pid}.bin`);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const spool = new Spool(path, await open(path, 'a', 0o600));
      await spool.clear();
      return spool;
    } catch (cause) {
      throw fileError(`cannot write ${path}`, cause);
    }
  }

  /** Forgets all that was written. */
  async clear(): Promise<void> {
    await this.#file.truncate(0);
  }

  /** Appends bytes; a full disk is an error, whether none or a part of them fits. */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.writeFile(bytes);
    } catch (cause) {
      throw fileError(`cannot write ${this.#path}`, cause);
    }
  }

  /** All that was written, in pieces of up to a MiB. */
  read(): AsyncIterable<Buffer> {
    return createReadStream(this.#path, { highWaterMark: MIB });
  }

  /** Closes and removes the file. */
  async remove(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }
}
