/**
 * The way out: bytes of a stream → part in its slot → hash and a look at its commands → bucket and journal, chunk after chunk. Nothing
 * is copied. Memory is bounded by the pool: a part keeps its slot until it is stored.
 */
import limit from 'p-limit';
import type { StoredChunk } from '../../core/format/run-files.ts';
import { type ByteSource, type Chunk, cutIntoChunks, type Slot, viewsOf } from '../../core/stream/chunker.ts';
import type { Layout } from '../../core/stream/part-sizes.ts';
import type { StreamMemory } from '../memory/transfer-memory.ts';
import type { ChunkUpload } from './chunk-upload.ts';

/** Where the tasks of a stream run: the first that fails ends all others, and nothing is under way any more when the stream is. */
export interface Tasks {
  /** Runs beside others. */
  readonly watch: <Result>(task: Promise<Result>) => Promise<Result>;
  /** Stores something as soon as its turn has come: CONCURRENCY at once. */
  readonly store: (task: () => Promise<void>) => Promise<void>;
}

/** A chunk whose bytes have been read. */
export interface ChunkUnderWay {
  /** Resolves when it is stored. */
  readonly completed: Promise<StoredChunk>;
  /** SHA-256, in hex, of its bytes as the stream brought them; and of the stream up to its end. */
  readonly plainSha256: string;
  readonly streamSha256: string;
}

/** Stores one chunk, as the stream brings it. Resolves when it was read to its end. */
export type StoreChunk = (chunk: Chunk, tasks: Tasks) => Promise<ChunkUnderWay>;

/** What the bytes pass through. */
export interface BytePath {
  readonly source: ByteSource;
  readonly memory: StreamMemory;
  readonly layout: Layout;
  /** Sees all bytes in their order, as they come. What it throws ends the stream. */
  readonly inspect: (bytes: Uint8Array) => void;
  /** Parts that are stored at once; one more is filled meanwhile. */
  readonly concurrency: number;
  readonly storeChunk: StoreChunk;
  /** Aborted with the first failure, so that everything else stops. */
  readonly ending: AbortController;
}

/** A stream that was stored whole. */
export interface StoredStream {
  readonly chunks: readonly StoredChunk[];
  /** SHA-256 of the stream, in hex. */
  readonly sha256: string;
  /** SHA-256, in hex, of what each chunk holds of the stream. */
  readonly plainSha256s: readonly string[];
}

/** Stores a stream. @throws whatever failed first; nothing is under way any more then */
export async function storeStream(path: BytePath): Promise<StoredStream> {
  const { source, memory, layout, inspect, concurrency, storeChunk, ending } = path;
  const onFilled = (slot: Slot, from: number, to: number) => {
    memory.hasher.update(slot, from, to);
    if (ending.signal.aborted) return;
    try {
      for (const bytes of viewsOf(slot.pieces, from, to)) inspect(bytes);
    } catch (error) {
      // The pipe, which calls this, could not report it.
      ending.abort(error);
    }
  };
  const underWay: Promise<unknown>[] = [];
  const watch = <Result>(task: Promise<Result>): Promise<Result> => {
    underWay.push(task.catch((error: unknown) => ending.abort(error)));
    return task;
  };
  // Without it the part that waits for its turn would begin the next chunk's upload already.
  const limited = limit(concurrency);
  const store = (task: () => Promise<void>) => watch(limited(task));
  const chunks: Promise<StoredChunk>[] = [];
  const plainSha256s: string[] = [];
  let sha256 = '';
  try {
    for await (const chunk of cutIntoChunks(source, memory.pool, layout, onFilled)) {
      const read = await storeChunk(chunk, { watch, store });
      chunks.push(watch(read.completed));
      plainSha256s.push(read.plainSha256);
      sha256 = read.streamSha256;
    }
    return { chunks: await Promise.all(chunks), sha256, plainSha256s };
  } catch (error) {
    ending.abort(error);
    throw ending.signal.reason;
  } finally {
    // What is under way may begin something more.
    for (let ended = 0; ended < underWay.length; ) {
      const these = underWay.slice(ended);
      ended += these.length;
      await Promise.all(these);
    }
  }
}

/**
 * How chunks of a stream are stored as they are: their parts side by side, as the stream brings them.
 * @param openChunk where a chunk goes, by its number
 */
export function storingPlain(
  { pool, hasher }: StreamMemory,
  openChunk: (index: number) => ChunkUpload,
): StoreChunk {
  return async ({ index, parts }, { store }) => {
    const upload = openChunk(index);
    const stored: Promise<void>[] = [];
    let [plainSha256, streamSha256] = ['', ''];
    for await (const part of parts) {
      const digests = await hasher.finishPart(part.endsChunk);
      if (part.endsChunk) [plainSha256, streamSha256] = [digests.chunk, digests.stream];
      stored.push(store(() => upload.store(part, digests).finally(() => pool.release(part.slot))));
    }
    const completed = Promise.all(stored).then(() => upload.finish(plainSha256));
    return { completed, plainSha256, streamSha256 };
  };
}
