/** The memory of a process for its transfers. */
import { collectGarbage } from '../../edge/process/garbage.ts';
import { Hasher } from './hasher.ts';
import { makeSlots, PartPool, type SharedSlot } from './part-pool.ts';

/** What one stream passes through. */
export interface StreamMemory {
  readonly pool: PartPool;
  readonly hasher: Hasher;
}

/**
 * The slots and the hash worker of a process, used by one stream after another: a pool for each would stay until the
 * next full garbage collection, so memory would grow with the number of streams (measured: 1.3 GiB after four).
 */
export class TransferMemory {
  readonly #slotCount: number;
  #slots: readonly SharedSlot[] = [];
  #hasher: Hasher | undefined;
  #second: TransferMemory | undefined;

  constructor(slotCount: number) {
    this.#slotCount = slotCount;
  }

  /**
   * Memory for a stream in parts of up to `partSizeBytes`, of which `slotCount` are used. The stream before must have
   * ended, however it did.
   * @param partsOnly leaves the hashes of chunks and stream out
   */
  async open(
    partSizeBytes: number,
    slotCount = this.#slotCount,
    { partsOnly = false } = {},
  ): Promise<StreamMemory> {
    if (bytesOf(this.#slots[0]) < partSizeBytes) {
      await this.#hasher?.close();
      this.#hasher = undefined;
      const isFirst = this.#slots.length === 0;
      this.#slots = [];
      // Slots are too large to wait until V8 collects them; but a collection takes 50 ms, and most runs make slots once.
      if (!isFirst) collectGarbage();
      this.#slots = makeSlots(this.#slotCount, partSizeBytes);
    }
    this.#hasher ??= new Hasher(this.#slots);
    this.#hasher.beginStream({ partsOnly });
    return { pool: new PartPool(this.#slots.slice(0, slotCount)), hasher: this.#hasher };
  }

  /** As much again, for what a codec makes of a stream, or makes it of. It is there from its first use on. */
  get second(): TransferMemory {
    this.#second ??= new TransferMemory(this.#slotCount);
    return this.#second;
  }

  /** Ends the hash workers, and lets go of the slots. */
  async close(): Promise<void> {
    await Promise.all([this.#hasher?.close(), this.#second?.close()]);
    this.#hasher = undefined;
    this.#slots = [];
    this.#second = undefined;
  }
}

function bytesOf(slot: SharedSlot | undefined): number {
  return (slot?.pieces ?? []).reduce((sum, { length }) => sum + length, 0);
}
