/** A file in which bytes wait until it is known whether they may be used. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from './files.ts';

/** A spool file of this process. */
export class Spool {
  readonly #directory: string;
  readonly #file: FileHandle;

  private constructor(directory: string, file: FileHandle) {
    this.#directory = directory;
    this.#file = file;
  }

  /** Opens an empty spool in a directory, which is made when it is missing. */
  static async open(directory: string): Promise<Spool> {
    const path = join(directory, `spool-${randomUUID()}.bin`);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      // Without a name at once, so that the kernel frees it with this process, however that ends.
      const file = await open(path, 'ax+', 0o600);
      await rm(path);
      return new Spool(directory, file);
    } catch (cause) {
      throw fileError(`cannot spool a chunk in ${directory}`, cause);
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
      throw fileError(`cannot spool a chunk in ${this.#directory}`, cause);
    }
  }

  /**
   * All that was written, read piece by piece into the same memory: buffers of their own would pile up until the next garbage collection
   * (measured: 110 MiB with parts of 1.2 GiB and Node 24).
   */
  async *read(memory: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; ; ) {
      const { bytesRead } = await this.#file.read(memory, 0, memory.length, at);
      if (bytesRead === 0) return;
      yield memory.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  /** Gives its bytes back to the disk. */
  async close(): Promise<void> {
    await this.#file.close();
  }
}
