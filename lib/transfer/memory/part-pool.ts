/** The memory of transfers: a fixed number of slots that the hash worker can see too. */
import type { Slot, SlotPool } from '../../core/stream/chunker.ts';

/** A slot over memory shared with the hash worker. */
export interface SharedSlot extends Slot {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/** Makes slots of `slotSizeBytes`; memory is touched, and so counted, only when it is filled. */
export function makeSlots(count: number, slotSizeBytes: number): readonly SharedSlot[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    bytes: new Uint8Array(new SharedArrayBuffer(slotSizeBytes)),
  }));
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
