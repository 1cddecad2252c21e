/**
 * How a stream is cut: chunks of a fixed size, each of them parts of a fixed size, within the limits of S3
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): at most 10,000 parts an object, parts of
 * 5 MiB to 5 GiB except for the last, objects of up to 48.8 TiB, which is what such parts make.
 */
import { formatSize, GIB, MIB } from '../units.ts';

export const S3_LIMITS = {
  minPartBytes: 5 * MIB,
  maxPartBytes: 5 * GIB,
  maxPartsPerObject: 10_000,
  maxObjectBytes: 10_000 * 5 * GIB,
} as const;

/** Smaller parts cost speed, larger ones memory (testing/bench/README.md). */
const smallestAutomaticPartBytes = 32 * MIB;

/** Chunk and part size in bytes, as one upload uses them. */
export interface Layout {
  readonly chunkSizeBytes: number;
  readonly partSizeBytes: number;
}

/**
 * The layout for a chunk size and PART_SIZE (`auto`: 32 MiB, or what keeps the chunk within 10,000 parts, rounded up
 * to a MiB). A part is never larger than the chunk, so small chunks do not cost large buffers.
 * @throws RangeError when the sizes break a limit of S3.
 */
export function chooseLayout(chunkSizeBytes: number, partSize: number | 'auto'): Layout {
  const wanted =
    partSize === 'auto'
      ? Math.max(
          smallestAutomaticPartBytes,
          Math.ceil(chunkSizeBytes / S3_LIMITS.maxPartsPerObject / MIB) * MIB,
        )
      : partSize;
  const partSizeBytes = Math.min(wanted, chunkSizeBytes);
  const { minPartBytes, maxPartBytes, maxPartsPerObject, maxObjectBytes } = S3_LIMITS;
  if (chunkSizeBytes > maxObjectBytes) throw new RangeError('chunk size is over 48.8 TiB');
  if (partSizeBytes < minPartBytes || partSizeBytes > maxPartBytes) {
    throw new RangeError('must be between 5 MiB and 5 GiB');
  }
  if (Math.ceil(chunkSizeBytes / partSizeBytes) > maxPartsPerObject) {
    throw new RangeError(
      `is too small: a chunk of ${formatSize(chunkSizeBytes)} would need more than 10,000 parts of ${formatSize(partSizeBytes)}`,
    );
  }
  return { chunkSizeBytes, partSizeBytes };
}

/** A byte range of an object: `length` bytes from `offset`. */
export interface PartRange {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
}

/** The parts of an object of `sizeBytes`, numbered from 1 as S3 does. */
export function partRanges(sizeBytes: number, partSizeBytes: number): readonly PartRange[] {
  return Array.from({ length: Math.ceil(sizeBytes / partSizeBytes) }, (_, index) => ({
    number: index + 1,
    offset: index * partSizeBytes,
    length: Math.min(partSizeBytes, sizeBytes - index * partSizeBytes),
  }));
}
