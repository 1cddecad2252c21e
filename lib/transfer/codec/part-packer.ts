/**
 * Makes parts of encoded frames, in the order of the stream. A frame that is large enough is a part by itself, without being copied;
 * smaller ones are put one behind the other until they are as much as the smallest part that S3 takes.
 */
import { endsPart } from '../../core/format/frames.ts';
import type { StoredFrame, StoredPart } from '../../core/format/run-files.ts';
import type { Slot } from '../../core/stream/chunker.ts';
import { S3_LIMITS } from '../../core/stream/part-sizes.ts';
import { copyInto } from '../memory/part-pool.ts';
import type { StreamMemory } from '../memory/transfer-memory.ts';
import type { ChunkObject } from '../out/chunk-object.ts';
import type { PlainFrame } from './earlier-frames.ts';

/** Memory of a part: the first bytes of some slots. */
interface Piece {
  readonly slot: Slot;
  sizeBytes: number;
}

/** What a packer works with. */
export interface PackerTools {
  /** Where encoded frames are. Its hasher hashes parts only, and is used by one packer after the other. */
  readonly memory: StreamMemory;
  readonly object: ChunkObject;
  /** Runs a task beside others, as soon as there is room for one more. */
  readonly store: (task: () => Promise<void>) => Promise<void>;
  /** Called with the number of plain bytes that are in the bucket now. */
  readonly onStored: (plainBytes: number) => void;
}

/** The parts of an earlier run cannot stand where the new ones end: frames have other sizes now. */
export class PartsDoNotMeet extends Error {
  override readonly name = 'PartsDoNotMeet';
  readonly part: StoredPart;

  constructor(part: StoredPart) {
    super(`part ${part.number} does not follow on those before it`);
    this.part = part;
  }
}

/** Packs the frames of one chunk. Its calls must not overlap, nor those of the packer of the chunk before. */
export class PartPacker {
  readonly #tools: PackerTools;
  readonly #stored: Promise<void>[] = [];
  #number = 1;
  #pieces: Piece[] = [];
  #frames: StoredFrame[] = [];
  #firstFrame = 0;

  constructor(tools: PackerTools) {
    this.#tools = tools;
  }

  /** Resolves when all parts are stored. To be called when all is packed. */
  async stored(): Promise<void> {
    await Promise.all(this.#stored);
  }

  /** Takes a frame over, with its slot. */
  async add(frame: PlainFrame, slot: Slot, sizeBytes: number): Promise<void> {
    if (this.#frames.length === 0) this.#firstFrame = frame.index;
    this.#frames.push({
      size: sizeBytes,
      plain_size: frame.plainSize,
      plain_sha256: frame.plainSha256,
    });
    this.#append(slot, sizeBytes);
    const partBytes = this.#pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0);
    if (endsPart(partBytes, frame.endsChunk)) await this.#endPart(partBytes);
  }

  /** Takes a part that the bucket has. @throws PartsDoNotMeet when it cannot be the next one */
  keep(part: StoredPart): void {
    if (this.#frames.length > 0 || part.number !== this.#number) throw new PartsDoNotMeet(part);
    this.#number += 1;
    this.#tools.object.keep(part);
  }

  /** A small frame goes behind the one before it, if there is room: else each would hold a slot until there are enough. */
  #append(slot: Slot, sizeBytes: number): void {
    const { pool, hasher } = this.#tools.memory;
    const last = this.#pieces.at(-1);
    const isSmall = sizeBytes < S3_LIMITS.minPartBytes;
    if (!last || !isSmall || last.sizeBytes + sizeBytes > last.slot.bytes.length) {
      hasher.update(slot, 0, sizeBytes);
      this.#pieces.push({ slot, sizeBytes });
      return;
    }
    copyInto(last.slot.bytes, last.sizeBytes, slot.bytes.subarray(0, sizeBytes));
    pool.release(slot);
    hasher.update(last.slot, last.sizeBytes, last.sizeBytes + sizeBytes);
    last.sizeBytes += sizeBytes;
  }

  async #endPart(size: number): Promise<void> {
    const { memory, object, store, onStored } = this.#tools;
    const [pieces, frames, number] = [this.#pieces, this.#frames, this.#number];
    const part = { number, size, first_frame: this.#firstFrame, frames };
    this.#pieces = [];
    this.#frames = [];
    this.#number += 1;
    const digests = await memory.hasher.finishPart(false);
    const body = {
      pieces: pieces.map(({ slot, sizeBytes }) => slot.bytes.subarray(0, sizeBytes)),
      sha256: digests.part,
      md5: () => memory.hasher.md5OfPieces(pieces),
    };
    const task = async () => {
      try {
        await object.putPart({ ...part, sha256: digests.part }, body);
      } finally {
        for (const { slot } of pieces) memory.pool.release(slot);
      }
      onStored(frames.reduce((sum, frame) => sum + frame.plain_size, 0));
    };
    this.#stored.push(store(task));
  }
}
