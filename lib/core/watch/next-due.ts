/** When the next backup is due: the moment, whether it is past or to come. */
import type { Cadence, PublishedTimes } from '../plan/backup/due.ts';

/** The earlier of two moments; a full backup where both are the same, as judgeDue has it. Times in milliseconds since 1970. */
export function nextDue(
  { newestMs, fullMs }: PublishedTimes,
  { fullEverySeconds, incrementalEverySeconds }: Cadence,
): { readonly kind: 'full' | 'incremental'; readonly atMs: number } {
  const incremental = { kind: 'incremental' as const, atMs: newestMs + incrementalEverySeconds * 1000 };
  // A chain that cannot be followed makes a full backup due at once: since the last one.
  const full = {
    kind: 'full' as const,
    atMs: fullMs === undefined ? newestMs : fullMs + fullEverySeconds * 1000,
  };
  return full.atMs <= incremental.atMs ? full : incremental;
}
