/** What `btrfs subvolume find-new` lists, added up: file data, and how much of it is stored compressed. */

/** The sums of a listing. */
export interface NewExtents {
  /** Bytes of file data. */
  readonly bytes: number;
  /** Those of them that are stored compressed, as they are read. */
  readonly compressedBytes: number;
  /** The same as they lie on disk, about. */
  readonly diskBytes: number;
}

/** Extents that are held at most, in some MiB. A terabyte of compressed data has 8 million. */
export const MAX_HELD_EXTENTS = 100_000;

/** Where there are more, those of some stretches of the disk stand for all: neighbours tell how long an extent is. */
const stretchBytes = 4 * 2 ** 20;

/** Adds up lines, in memory that does not grow with their number. */
export class ExtentTally {
  #bytes = 0;
  #compressedBytes = 0;
  /** Plain length of each compressed extent, by its place on disk; of all others only the place matters. */
  readonly #extents = new Map<number, number>();
  /** Stretches whose lot is below it are looked at. */
  #lotsBelow = 2 ** 32;

  /** Takes a line; others than those of extents are passed over. */
  add(line: string): void {
    const match = /^inode \d+ file offset \d+ len (\d+) disk start (\d+) offset \d+ gen \d+ flags (\S+)/.exec(
      line,
    );
    if (!match) return;
    const [bytes, place, flags = ''] = [Number(match[1]), Number(match[2]), match[3]];
    const plain = flags.includes('COMPRESS') ? bytes : 0;
    this.#bytes += bytes;
    this.#compressedBytes += plain;
    // It lies in the metadata, which tells nothing of its length.
    if (flags.includes('INLINE')) return;
    if (lotOf(place) >= this.#lotsBelow) return;
    this.#extents.set(place, (this.#extents.get(place) ?? 0) + plain);
    while (this.#extents.size > MAX_HELD_EXTENTS) this.#lookAtHalf();
  }

  /** How many extents are held. */
  get heldExtents(): number {
    return this.#extents.size;
  }

  /**
   * The sums. The listing does not tell how long a compressed extent is on disk. Btrfs writes them one after the other, so it is as long as
   * up to the next one; where that is far away, it is taken to be as compressed as the others.
   */
  result(): NewExtents {
    const places = [...this.#extents.keys()].sort((a, b) => a - b);
    let [knownBytes, knownDiskBytes] = [0, 0];
    for (const [index, place] of places.entries()) {
      const plain = this.#extents.get(place) ?? 0;
      const diskBytes = (places[index + 1] ?? Number.POSITIVE_INFINITY) - place;
      if (diskBytes >= plain) continue;
      knownBytes += plain;
      knownDiskBytes += diskBytes;
    }
    const share = knownBytes === 0 ? 1 : knownDiskBytes / knownBytes;
    const compressedBytes = this.#compressedBytes;
    return { bytes: this.#bytes, compressedBytes, diskBytes: Math.round(compressedBytes * share) };
  }

  #lookAtHalf(): void {
    this.#lotsBelow /= 2;
    for (const place of this.#extents.keys()) {
      if (lotOf(place) >= this.#lotsBelow) this.#extents.delete(place);
    }
  }
}

/** The same for all of a stretch, and evenly spread below 2^32 (Knuth's multiplicative hash). */
function lotOf(place: number): number {
  return Math.imul(Math.floor(place / stretchBytes), 2_654_435_761) >>> 0;
}

/** What part of its plain length file data has when compressed extents are sent as they are; 1 where none are. */
export function sentShare({ bytes, compressedBytes, diskBytes }: NewExtents): number {
  return bytes === 0 ? 1 : (bytes - compressedBytes + diskBytes) / bytes;
}
