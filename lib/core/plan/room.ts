/** Room that a restore takes: each stream is received beside its predecessor, which goes as soon as that is done. */

/** Bytes of room. */
export interface RoomNeeded {
  /** Below this the restore is bound to fail. */
  readonly atLeast: number;
  /** With this it fits, whatever the streams do. */
  readonly atMost: number;
}

/**
 * The bounds for a chain of streams. Nothing records how much of what came before a stream leaves alive, so the upper bound is their
 * sum; but what one stream brings is alive in the state that it makes, and that state is there while the next one is received.
 * @param streamBytes of the streams that are still to be received
 * @param isBegun true when their predecessor is there already, and takes up room of its own
 */
export function roomNeeded(streamBytes: readonly number[], isBegun: boolean): RoomNeeded {
  const atMost = streamBytes.reduce((sum, bytes) => sum + bytes, 0);
  if (isBegun) return { atLeast: streamBytes[0] ?? 0, atMost };
  const atLeast = streamBytes.reduce(
    (most, bytes, index) => Math.max(most, bytes + (streamBytes[index - 1] ?? 0)),
    0,
  );
  return { atLeast, atMost };
}
