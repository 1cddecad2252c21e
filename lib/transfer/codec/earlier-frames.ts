/**
 * What an earlier run left of an encoded chunk, frame by frame. Encoding the same bytes again gives others, so frames are known by what
 * they were made of: the SHA-256 of their plain bytes, which the journal has. Each frame of the stream is judged as it comes; whatever
 * is kept is neither encoded nor sent.
 */
import { endsPart } from '../../core/format/frames.ts';
import type { StoredFrame, StoredPart } from '../../core/format/run-files.ts';

/** A frame of the stream, before it is encoded. */
export interface PlainFrame {
  /** Counts from 0 in each chunk. */
  readonly index: number;
  readonly plainSize: number;
  /** SHA-256, in base64. */
  readonly plainSha256: string;
  readonly endsChunk: boolean;
}

/** What to do with a frame. */
export type Judgement =
  /** The bucket does not have it. `forget` is a part that begins with another frame than the stream has here. */
  | { readonly action: 'encode'; readonly forget?: StoredPart }
  /** It lies in a part that is in the bucket, whose end is still to come. */
  | { readonly action: 'pass over' }
  /** It ends such a part. */
  | { readonly action: 'keep'; readonly part: StoredPart }
  /** It lies in such a part, and differs, after others of it were passed over: the stream has to come again. */
  | { readonly action: 'start over'; readonly forget: StoredPart };

/** A part of frames. */
type PartOfFrames = StoredPart & { readonly frames: readonly StoredFrame[] };

/** Judges the frames of one chunk, in their order. */
export class EarlierFrames {
  readonly #parts: ReadonlyMap<number, PartOfFrames>;
  /** The part in the middle of which the last frame was. */
  #inside: { readonly part: PartOfFrames; readonly next: number } | undefined;

  /** @param parts that the bucket has of this chunk */
  constructor(parts: readonly StoredPart[]) {
    this.#parts = new Map(
      parts.flatMap(({ first_frame, frames, ...part }) =>
        first_frame !== undefined && frames ? [[first_frame, { ...part, first_frame, frames }]] : [],
      ),
    );
  }

  /** Judges the next frame. */
  judge(frame: PlainFrame): Judgement {
    const part = this.#inside?.part ?? this.#parts.get(frame.index);
    if (!part) return { action: 'encode' };
    const at = this.#inside?.next ?? 0;
    this.#inside = undefined;
    const isLast = at === part.frames.length - 1;
    const fits = isLast ? endsPart(part.size, frame.endsChunk) : !frame.endsChunk;
    if (!fits || !isMadeOf(part.frames[at], frame)) {
      return at === 0 ? { action: 'encode', forget: part } : { action: 'start over', forget: part };
    }
    if (isLast) return { action: 'keep', part };
    this.#inside = { part, next: at + 1 };
    return { action: 'pass over' };
  }
}

/** True when a frame of the stream is the one that a completed chunk has in its place. */
export function isFrameOf(frames: readonly StoredFrame[], frame: PlainFrame): boolean {
  return isMadeOf(frames[frame.index], frame) && (frame.index === frames.length - 1) === frame.endsChunk;
}

function isMadeOf(stored: StoredFrame | undefined, { plainSize, plainSha256 }: PlainFrame): boolean {
  return stored?.plain_size === plainSize && stored.plain_sha256 === plainSha256;
}
