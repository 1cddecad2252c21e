/**
 * Cuts a stream into chunks and parts. One chunk at a time: asking for the next before the last was read to its end is
 * an error, so chunk boundaries cannot drift. Parts are filled into slots of a pool, never copied.
 */
import { type Layout, partRanges } from './part-sizes.ts';

/** Memory that holds one part. */
export interface Slot {
  readonly index: number;
  /** All of it, in order. A part may be larger than one piece of memory can be. */
  readonly pieces: readonly Uint8Array[];
  /** The first piece, which is all of a slot for a frame, and for a part that is read back into memory. */
  readonly bytes: Uint8Array;
}

/**
 * The bytes of a slot between two positions, in order: a view of each piece that has some of them.
 * Uses nothing but its parameters, as the hash workers get its text.
 * @throws RangeError when the slot does not have them
 */
export function viewsOf(pieces: readonly Uint8Array[], from: number, to: number): readonly Uint8Array[] {
  const views: Uint8Array[] = [];
  let start = 0;
  for (const piece of pieces) {
    const end = start + piece.length;
    if (from < end && to > start)
      views.push(piece.subarray(Math.max(from, start) - start, Math.min(to, end) - start));
    start = end;
  }
  if (to > start) throw new RangeError(`a slot of ${start} bytes has none at ${to}`);
  return views;
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
        const filled = await fillSlot(source, slot, length, onFilled);
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

/** Fills the first bytes of a slot; fewer only at the end of the source. */
async function fillSlot(
  source: ByteSource,
  slot: Slot,
  length: number,
  onFilled: (slot: Slot, from: number, to: number) => void,
): Promise<{ readonly bytes: number; readonly ended: boolean }> {
  let bytes = 0;
  for (const view of viewsOf(slot.pieces, 0, length)) {
    const start = bytes;
    const filled = await source.fill(view, (from, to) => onFilled(slot, start + from, start + to));
    bytes += filled.bytes;
    if (filled.ended) return { bytes, ended: true };
  }
  return { bytes, ended: false };
}
