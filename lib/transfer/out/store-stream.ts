/**
 * The way out: bytes of a stream → part in its slot → hash and a look at its commands → bucket and journal, chunk after chunk. Nothing
 * is copied. Memory is bounded by the pool: a part keeps its slot until it is stored.
 */
import limit from 'p-limit';
import type { StoredChunk } from '../../core/format/run-files.ts';
import { type ByteSource, type Chunk, cutIntoChunks, type Slot } from '../../core/stream/chunker.ts';
import type { Layout } from '../../core/stream/part-sizes.ts';
import type { StreamMemory } from '../memory/transfer-memory.ts';
import type { ChunkUpload } from './chunk-upload.ts';

/** What the bytes pass through. */
export interface BytePath {
  readonly source: ByteSource;
  readonly memory: StreamMemory;
  readonly layout: Layout;
  /** Sees all bytes in their order, as they come. What it throws ends the stream. */
  readonly inspect: (bytes: Uint8Array) => void;
  /** Parts that are stored at once; one more is filled meanwhile. */
  readonly concurrency: number;
  /** Where a chunk goes, by its number. */
  readonly openChunk: (index: number) => ChunkUpload;
  /** Aborted with the first failure, so that everything else stops. */
  readonly ending: AbortController;
}

/** A stream that was stored whole. */
export interface StoredStream {
  readonly chunks: readonly StoredChunk[];
  /** SHA-256 of the stream, in hex. */
  readonly sha256: string;
}

/** Stores a stream. @throws whatever failed first; nothing is under way any more then */
export async function storeStream(path: BytePath): Promise<StoredStream> {
  const { source, memory, layout, inspect, concurrency, openChunk, ending } = path;
  const onFilled = (slot: Slot, from: number, to: number) => {
    memory.hasher.update(slot, from, to);
    if (ending.signal.aborted) return;
    try {
      inspect(slot.bytes.subarray(from, to));
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
  let sha256 = '';
  try {
    for await (const chunk of cutIntoChunks(source, memory.pool, layout, onFilled)) {
      const { completed, streamSha256 } = await storeChunk(openChunk(chunk.index), chunk, memory, store);
      chunks.push(watch(completed));
      sha256 = streamSha256;
    }
    return { chunks: await Promise.all(chunks), sha256 };
  } catch (error) {
    ending.abort(error);
    throw ending.signal.reason;
  } finally {
    await Promise.all(underWay);
  }
}

/** Stores the parts of one chunk side by side, as the stream brings them. Resolves when it was read to its end. */
async function storeChunk(
  upload: ChunkUpload,
  { parts }: Chunk,
  { pool, hasher }: StreamMemory,
  store: (task: () => Promise<void>) => Promise<void>,
): Promise<{ readonly completed: Promise<StoredChunk>; readonly streamSha256: string }> {
  const stored: Promise<void>[] = [];
  let [chunkSha256, streamSha256] = ['', ''];
  for await (const part of parts) {
    const digests = await hasher.finishPart(part.endsChunk);
    if (part.endsChunk) [chunkSha256, streamSha256] = [digests.chunk, digests.stream];
    stored.push(store(() => upload.store(part, digests).finally(() => pool.release(part.slot))));
  }
  const completed = Promise.all(stored).then(() => upload.finish(chunkSha256));
  return { completed, streamSha256 };
}
