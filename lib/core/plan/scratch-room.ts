/** How large a scratch filesystem is made, and how much of the disk below it a restore into it takes. */
import { GIB, MIB } from '../units.ts';

/** Bytes of a disk. */
export interface ScratchRoom {
  /** Below this it is bound to fail. */
  readonly atLeast: number;
  /** With this it fits, whatever the streams do. */
  readonly atMost: number;
}

/** What an empty filesystem, its log and its trees take. */
const emptyBytes = 64 * MIB;

/** Bytes of a filesystem for each of a stream, at most: files a little above 2 KiB take that (measured with kernel 6.18). */
const mostPerStreamByte = 2;

/**
 * What the streams of a chain take. Each is received beside what came before, which goes afterwards. How much of that is still alive
 * is not recorded, so that the upper bound is that of all; but what two streams in a row bring is there at the same time.
 */
export function scratchRoom(streamBytes: readonly number[]): ScratchRoom {
  const sum = streamBytes.reduce((total, bytes) => total + bytes, 0);
  const pair = streamBytes.reduce(
    (most, bytes, index) => Math.max(most, bytes + (streamBytes[index - 1] ?? 0)),
    0,
  );
  return { atLeast: pair, atMost: mostPerStreamByte * sum + emptyBytes };
}

/**
 * Sizes for the image, the best first. It is sparse: what is not written takes no room. ext4 has no files above 16 TiB, hence a smaller one where that is refused.
 */
export function imageSizes(streamBytes: readonly number[]): readonly number[] {
  const sum = streamBytes.reduce((total, bytes) => total + bytes, 0);
  const whole = (bytes: number) => Math.ceil(bytes / MIB) * MIB;
  return [whole(mostPerStreamByte * sum + 4 * GIB), whole(1.1 * sum + 4 * GIB)];
}
