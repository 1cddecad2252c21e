/** What a stream becomes in the bucket: chunks and parts. */
import type { Layout } from '../stream/part-sizes.ts';

/** Objects and requests of an upload. */
export interface ObjectCount {
  /** Chunks of a single part, stored by one request. */
  readonly wholeChunks: number;
  /** Chunks of several parts: each is begun and completed. */
  readonly partedChunks: number;
  readonly parts: number;
}

/** Counts the objects of a stream. */
export function countObjects(bytes: number, { chunkSizeBytes, partSizeBytes }: Layout): ObjectCount {
  const fullChunks = Math.floor(bytes / chunkSizeBytes);
  const restBytes = bytes - fullChunks * chunkSizeBytes;
  let counts = { wholeChunks: 0, partedChunks: 0, parts: 0 };
  const add = (size: number, times: number) => {
    if (size === 0 || times === 0) return;
    const parts = Math.ceil(size / partSizeBytes);
    counts =
      parts === 1
        ? { ...counts, wholeChunks: counts.wholeChunks + times }
        : {
            ...counts,
            partedChunks: counts.partedChunks + times,
            parts: counts.parts + parts * times,
          };
  };
  add(chunkSizeBytes, fullChunks);
  add(restBytes, 1);
  return counts;
}
