/** A file in memory: what the sink gives for every object whose bytes it has not kept. */
import { open } from 'node:fs/promises';
import { MIB } from '../../../lib/core/units.ts';

/** One Buffer could not hold more than 2 or 4 GiB. */
const blockBytes = 64 * MIB;

/** Written to a connection at a time. */
const pieceBytes = MIB;

/** A file's bytes. */
export class StoredStream {
  readonly sizeBytes: number;
  readonly #blocks: readonly Buffer[];

  constructor(blocks: readonly Buffer[]) {
    this.#blocks = blocks;
    this.sizeBytes = blocks.reduce((sum, { length }) => sum + length, 0);
  }

  /** Reads a file into memory, so that serving it costs next to nothing. */
  static async read(path: string): Promise<StoredStream> {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const blocks: Buffer[] = [];
      for (let at = 0; at < size; at += blockBytes) {
        const block = Buffer.allocUnsafeSlow(Math.min(blockBytes, size - at));
        for (let filled = 0; filled < block.length; ) {
          const { bytesRead } = await file.read(block, filled, block.length - filled, at + filled);
          if (bytesRead === 0) throw new Error(`${path} has become shorter`);
          filled += bytesRead;
        }
        blocks.push(block);
      }
      return new StoredStream(blocks);
    } finally {
      await file.close();
    }
  }

  /** The bytes from `start` up to `end`, without copying any. */
  *pieces(start: number, end: number): Generator<Buffer> {
    for (let at = start; at < Math.min(end, this.sizeBytes); ) {
      const within = at % blockBytes;
      const piece = this.#blocks[Math.floor(at / blockBytes)]?.subarray(
        within,
        within + Math.min(pieceBytes, end - at),
      );
      if (!piece) return;
      yield piece;
      at += piece.length;
    }
  }
}
