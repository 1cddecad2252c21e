/**
 * Frames: what a codec makes of a chunk. Each holds the bytes of one slot, encoded by itself, so that it can be resumed, decoded and
 * recovered alone. A stored part is one frame, or several whole ones where they are below the smallest part that S3 takes.
 */
import { z } from 'zod';
import { type Layout, type PartRange, partRanges, S3_LIMITS } from '../stream/part-sizes.ts';
import { formatSize, GIB, MIB } from '../units.ts';

/** The most plain bytes of a frame: it is decoded in memory. */
export const MAX_PLAIN_FRAME_BYTES = GIB;

/** The most frames of one backup: more do not fit a manifest. In frames of 32 MiB they hold 30 TiB. */
export const MAX_FRAMES = 1_000_000;

/** The most parts of one backup without a codec: each takes 56 bytes of a manifest. In parts of 32 MiB they hold 91 TiB. */
export const MAX_PARTS = 3_000_000;

/** True where the parts, or with a codec the frames, of a chunk do not fit the manifest any more, after as many full chunks as its index says. */
export function exceedsManifest(
  index: number,
  { chunkSizeBytes, partSizeBytes }: Layout,
  isEncoded: boolean,
): boolean {
  return (index + 1) * Math.ceil(chunkSizeBytes / partSizeBytes) > (isEncoded ? MAX_FRAMES : MAX_PARTS);
}

/**
 * What there is to be said before a stream is cut into parts or frames, where only the room that its filesystem takes is known: too many
 * of them show otherwise when terabytes have been sent.
 * @returns undefined when all of it fits
 */
export function tooManyParts(
  usedBytes: number,
  partSizeBytes: number,
  isEncoded: boolean,
): string | undefined {
  const most = isEncoded ? MAX_FRAMES : MAX_PARTS;
  const mostBytes = most * partSizeBytes;
  if (usedBytes <= mostBytes) return undefined;
  const enoughMib = Math.ceil((1.25 * usedBytes) / most / MIB);
  const codec = isEncoded ? ' with COMPRESS or ENCRYPT_TO' : '';
  return `its filesystem holds ${formatSize(usedBytes)}, and a backup${codec} at most ${formatSize(mostBytes)} in parts of ${formatSize(partSizeBytes)}: set PART_SIZE=${enoughMib}MiB`;
}

/** What a manifest says of a frame: its bytes in the bucket, and the bytes of the stream that they make. */
export const frameSchema = z.object({
  size: z.int().positive().max(largestFrameBytes(MAX_PLAIN_FRAME_BYTES)),
  plain_size: z.int().positive().max(MAX_PLAIN_FRAME_BYTES),
});

export type Frame = z.output<typeof frameSchema>;

/**
 * The most bytes that a frame of so many plain bytes can have. Where nothing compresses, zstd adds 3 bytes to each 128 KiB and age 16
 * to each 64 KiB; what age puts in front grows with the recipients, by less than 2 KiB for each kind that there is.
 */
export function largestFrameBytes(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / 1024) + MIB;
}

/**
 * Bytes of a slot for an encoded frame. Where small frames are put together in one, what does not fit any more makes the part large
 * enough: so a part never takes more than two.
 */
export function encodedSlotBytes(plainBytes: number): number {
  return Math.max(S3_LIMITS.minPartBytes, largestFrameBytes(plainBytes));
}

/** Frames that are stored as one part: a run of them, by the first and how many there are. */
export interface FramesOfPart {
  readonly first: number;
  readonly count: number;
  readonly size: number;
}

/** The parts that the frames of a chunk make: each ends with the frame with which it is large enough, the last one where the chunk ends. */
export function partsOfFrames(frames: readonly Pick<Frame, 'size'>[]): readonly FramesOfPart[] {
  const parts: FramesOfPart[] = [];
  let [first, size] = [0, 0];
  for (const [index, frame] of frames.entries()) {
    size += frame.size;
    if (!endsPart(size, index === frames.length - 1)) continue;
    parts.push({ first, count: index + 1 - first, size });
    [first, size] = [index + 1, 0];
  }
  return parts;
}

/** Whether a part of so many bytes is complete. */
export function endsPart(sizeBytes: number, endsChunk: boolean): boolean {
  return endsChunk || sizeBytes >= S3_LIMITS.minPartBytes;
}

/** A chunk, as far as its parts follow from it. */
interface CutChunk {
  readonly size: number;
  readonly part_size?: number | undefined;
  readonly frames?: readonly Frame[] | undefined;
}

/** The parts of a stored chunk: of one size each, or of whole frames where it was encoded. */
export function partRangesOf({ size, part_size, frames }: CutChunk): readonly PartRange[] {
  if (!frames) return partRanges(size, part_size ?? size);
  let offset = 0;
  return partsOfFrames(frames).map((part, index) => {
    const range = { number: index + 1, offset, length: part.size };
    offset += part.size;
    return range;
  });
}
