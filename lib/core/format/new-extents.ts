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

/** Adds up lines. */
export class ExtentTally {
  #bytes = 0;
  /** Plain length of each compressed extent, by its place on disk; of all others only the place matters. */
  readonly #extents = new Map<number, number>();

  /** Takes a line; others than those of extents are passed over. */
  add(line: string): void {
    const match = /^inode \d+ file offset \d+ len (\d+) disk start (\d+) offset \d+ gen \d+ flags (\S+)/.exec(
      line,
    );
    if (!match) return;
    const [bytes, place, flags = ''] = [Number(match[1]), Number(match[2]), match[3]];
    this.#bytes += bytes;
    if (flags.includes('INLINE')) return;
    const plain = flags.includes('COMPRESS') ? bytes : 0;
    this.#extents.set(place, (this.#extents.get(place) ?? 0) + plain);
  }

  /**
   * The sums. The listing does not tell how long a compressed extent is on disk. Btrfs writes them one after the other, so it is as long as
   * up to the next one; where that is far away, it is taken to be as compressed as the others.
   */
  result(): NewExtents {
    const places = [...this.#extents.keys()].sort((a, b) => a - b);
    let [compressedBytes, knownBytes, knownDiskBytes] = [0, 0, 0];
    for (const [index, place] of places.entries()) {
      const plain = this.#extents.get(place) ?? 0;
      const diskBytes = (places[index + 1] ?? Number.POSITIVE_INFINITY) - place;
      compressedBytes += plain;
      if (diskBytes >= plain) continue;
      knownBytes += plain;
      knownDiskBytes += diskBytes;
    }
    const share = knownBytes === 0 ? 1 : knownDiskBytes / knownBytes;
    return { bytes: this.#bytes, compressedBytes, diskBytes: Math.round(compressedBytes * share) };
  }
}

/** What part of its plain length file data has when compressed extents are sent as they are; 1 where none are. */
export function sentShare({ bytes, compressedBytes, diskBytes }: NewExtents): number {
  return bytes === 0 ? 1 : (bytes - compressedBytes + diskBytes) / bytes;
}
