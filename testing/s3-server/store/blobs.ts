/**
 * The files that hold bytes, one a PutObject or UploadPart, named by a random UUID so that no key ever reaches the
 * file system. A blob that is being read outlives its removal until the last reader is done.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { BodySink } from '../http/body.ts';
import type { BlobReference } from './records.ts';

/** Bytes asked of the disk at a time while an object is sent. */
const READ_BYTES = 512 * 1024;

/** One directory of blobs. */
export class BlobStore {
  readonly #directory: string;
  readonly #readers = new Map<string, number>();
  readonly #doomed = new Set<string>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Opens the directory and removes what a killed server left half-written or unreferenced.
   * @param referenced ids of the blobs that objects and uploads still name
   */
  static async open(directory: string, referenced: ReadonlySet<string>): Promise<BlobStore> {
    await mkdir(directory, { recursive: true });
    for (const name of await readdir(directory)) {
      if (!referenced.has(name)) {
        await rm(join(directory, name), { force: true });
      }
    }
    return new BlobStore(directory);
  }

  /**
   * Writes a new blob through the sink that `fill` is given. The blob exists only if `fill` resolves.
   * It is not synced to the disk: a test server has to survive its own death, not the machine's.
   */
  async create<Result>(fill: (sink: BodySink) => Promise<Result>): Promise<{ id: string; result: Result }> {
    const id = randomUUID();
    const path = join(this.#directory, id);
    const partial = `${path}.partial`;
    const file = await open(partial, 'wx', 0o600);
    try {
      const result = await fill(async (slices) => {
        await writeFully(file, slices);
      });
      await file.close();
      await rename(partial, path);
      return { id, result };
    } catch (error) {
      await file.close();
      await rm(partial, { force: true });
      throw error;
    }
  }

  /** Streams bytes `start` to `end` (inclusive, 0-based) of the blobs laid end to end. */
  read(blobs: readonly BlobReference[], start: number, end: number): Readable {
    const wanted = pieces(blobs, start, end);
    for (const { id } of wanted) {
      this.#readers.set(id, (this.#readers.get(id) ?? 0) + 1);
    }
    const directory = this.#directory;
    async function* chunks(): AsyncGenerator<Buffer, void> {
      for (const piece of wanted) {
        yield* createReadStream(join(directory, piece.id), {
          start: piece.start,
          end: piece.end,
          highWaterMark: READ_BYTES,
        });
      }
    }
    const stream = Readable.from(chunks(), { objectMode: false, highWaterMark: READ_BYTES });
    // `close` comes after the end, an error or a client that went away alike.
    stream.once('close', () => {
      for (const { id } of wanted) {
        this.#release(id);
      }
    });
    return stream;
  }

  /** Removes blobs, at once or when their last reader is done. */
  async remove(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      if (this.#readers.has(id)) {
        this.#doomed.add(id);
      } else {
        await rm(join(this.#directory, id), { force: true });
      }
    }
  }

  #release(id: string): void {
    const readers = (this.#readers.get(id) ?? 1) - 1;
    if (readers > 0) {
      this.#readers.set(id, readers);
      return;
    }
    this.#readers.delete(id);
    if (this.#doomed.delete(id)) {
      rm(join(this.#directory, id), { force: true }).catch((error: unknown) => {
        console.error(`s3-server: cannot remove blob ${id}:`, error);
      });
    }
  }
}

async function writeFully(file: Awaited<ReturnType<typeof open>>, slices: readonly Buffer[]): Promise<void> {
  const total = slices.reduce((sum, slice) => sum + slice.length, 0);
  const { bytesWritten } = await file.writev(slices);
  if (bytesWritten !== total) {
    // The rare short write: `writeFile` goes on at the current position until all is written.
    await file.writeFile(Buffer.concat(slices).subarray(bytesWritten));
  }
}

function pieces(
  blobs: readonly BlobReference[],
  start: number,
  end: number,
): { readonly id: string; readonly start: number; readonly end: number }[] {
  const found = [];
  let offset = 0;
  for (const { id, sizeBytes } of blobs) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, sizeBytes - 1);
    if (from <= to) {
      found.push({ id, start: from, end: to });
    }
    offset += sizeBytes;
  }
  return found;
}
