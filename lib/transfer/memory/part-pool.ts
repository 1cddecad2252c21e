/** The memory of transfers: a fixed number of slots that the hash worker can see too. */
import type { Slot, SlotPool } from '../../core/stream/chunker.ts';
import { partRanges } from '../../core/stream/part-sizes.ts';
import { MIB } from '../../core/units.ts';

/** A slot over memory shared with the hash worker. */
export interface SharedSlot extends Slot {
  readonly pieces: readonly Uint8Array<SharedArrayBuffer>[];
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/**
 * The most bytes of one piece of a slot: more than an encoded frame can have, and less than any limit of Node.js. Updates of a hash take
 * less than 2 GiB; Node 20 has no ArrayBuffer above 4 GiB; and a message to a worker says of a view of 4 GiB or more a length that is
 * 4 GiB less (measured with 20 and 24: V8 writes 32 bits of it), so that the worker would hash other bytes than those that are sent.
 */
const mostPieceBytes = 1536 * MIB;

/**
 * Makes slots of `slotSizeBytes`; memory is touched, and so counted, only when it is filled.
 * @param pieceBytes of all pieces of a slot but the last
 */
export function makeSlots(
  count: number,
  slotSizeBytes: number,
  pieceBytes = mostPieceBytes,
): readonly SharedSlot[] {
  const lengths = partRanges(slotSizeBytes, pieceBytes).map(({ length }) => length);
  return Array.from({ length: count }, (_, index) => {
    const [bytes = pieceOf(0), ...rest] = lengths.map(pieceOf);
    return { index, pieces: [bytes, ...rest], bytes };
  });
}

function pieceOf(sizeBytes: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(sizeBytes));
}

/**
 * Copies bytes into a slot, or into a view of one. `set` copies into shared memory word by word: 0.3 CPU-s/GiB, where `fill` takes
 * less than 0.1 (Node 20; testing/bench/README.md has the command).
 */
export function copyInto(target: Uint8Array, at: number, bytes: Uint8Array): void {
  if (at + bytes.length > target.length)
    throw new RangeError(`${bytes.length} bytes at ${at} do not fit ${target.length}`);
  if (bytes.length > 0) Buffer.from(target.buffer, target.byteOffset + at, bytes.length).fill(bytes);
}

/** Hands slots out and takes them back; all are free at first. */
export class PartPool implements SlotPool {
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  constructor(slots: readonly SharedSlot[]) {
    this.#free = [...slots];
  }

  /** A free slot, as soon as there is one. */
  acquire(): Promise<Slot> {
    const slot = this.#free.pop();
    if (slot) return Promise.resolve(slot);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives a slot back; the longest waiting caller gets it. */
  release(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next) next(slot);
    else this.#free.push(slot);
  }
}
