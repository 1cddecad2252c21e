/**
 * Cuts a stream into chunks and parts. One chunk at a time: asking for the next before the last was read to its end is
 * an error, so chunk boundaries cannot drift. Parts are filled into slots of a pool, never copied.
 */
import { type Layout, partRanges } from './part-sizes.ts';

/** A piece of memory that holds one part. */
export interface Slot {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** A fixed number of slots; `acquire` waits until one is free. */
export interface SlotPool {
  acquire(): Promise<Slot>;
  release(slot: Slot): void;
}

/** Bytes in order. `ended` is true when nothing follows what was filled, and only when the source succeeded. */
export interface ByteSource {
  fill(
    target: Uint8Array,
    onFilled?: (from: number, to: number) => void,
  ): Promise<{ readonly bytes: number; readonly ended: boolean }>;
}

/** One part in its slot; the receiver gives the slot back to the pool. */
export interface Part {
  readonly chunkIndex: number;
  /** Counts from 1 in each chunk, as S3 does. */
  readonly number: number;
  readonly slot: Slot;
  readonly sizeBytes: number;
  readonly endsChunk: boolean;
}

/** A chunk being read. */
export interface Chunk {
  /** Counts from 0. */
  readonly index: number;
  readonly parts: AsyncIterable<Part>;
}

/**
 * Yields the chunks of a source. `onFilled` gets the bytes of a slot as they arrive, so that hashing keeps pace.
 * An empty source yields one chunk without parts.
 * @throws Error when a chunk is asked for before the last one was read to its end.
 */
export async function* cutIntoChunks(
  source: ByteSource,
  pool: SlotPool,
  layout: Layout,
  onFilled: (slot: Slot, from: number, to: number) => void,
): AsyncGenerator<Chunk> {
  const ranges = partRanges(layout.chunkSizeBytes, layout.partSizeBytes);
  let streamEnded = false;
  for (let index = 0; !streamEnded; index++) {
    let chunkEnded = false;
    const readParts = async function* (): AsyncGenerator<Part> {
      for (const { number, length } of ranges) {
        const slot = await pool.acquire();
        const filled = await source.fill(slot.bytes.subarray(0, length), (from, to) =>
          onFilled(slot, from, to),
        );
        streamEnded = filled.ended;
        chunkEnded = filled.ended || number === ranges.length;
        if (filled.bytes === 0) {
          pool.release(slot);
          return;
        }
        yield { chunkIndex: index, number, slot, sizeBytes: filled.bytes, endsChunk: chunkEnded };
        if (streamEnded) return;
      }
    };
    yield { index, parts: readParts() };
    if (!chunkEnded) throw new Error(`chunk ${index} was not read to its end`);
  }
}
