/** Objects that a server shows only some seconds after it has stored them, as those do that copy what they store before they list it. */
import type { Bucket } from './s3-client.ts';

/** A minute together. */
const waitsMs: readonly number[] = [1000, 2000, 4000, 8000, 15_000, 15_000, 15_000];

/**
 * Looks, and looks again for a minute, until everything is seen. S3 shows what it has stored at once
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel), so there one look decides.
 * @param look what was seen before is handed in, so that only the rest need be looked at.
 * @returns what was seen last.
 */
export async function lookUntilSeen<Seen>(
  bucket: Bucket,
  look: (before: Seen | undefined) => Promise<Seen>,
  isSeen: (seen: Seen) => boolean,
): Promise<Seen> {
  let seen = await look(undefined);
  if (bucket.isAws) return seen;
  for (const waitMs of waitsMs) {
    if (isSeen(seen)) return seen;
    await bucket.retrier.wait(waitMs, bucket.signal);
    seen = await look(seen);
    if (isSeen(seen)) bucket.habits.noteLateObjects();
  }
  return seen;
}
