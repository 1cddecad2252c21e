/** How long to wait before a request is sent again. */

const firstBoundMs = 250;
const longestBoundMs = 30_000;
/** A server that asks for more than this is not waited for so long at once; it may ask again. */
const longestRetryAfterMs = 300_000;
/** A thaw takes minutes to days: soon after it was asked for a look every few seconds, later one every five minutes. */
const [firstLookMs, longestLookMs] = [1000, 300_000];

/**
 * Milliseconds to wait after failed attempt `attempt`, which counts from 1: anything up to a bound that doubles, so that those
 * who failed together do not come back together
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "full jitter").
 * @param random from 0 to 1.
 */
export function backoffMs(attempt: number, random: number): number {
  return Math.round(random * Math.min(longestBoundMs, firstBoundMs * 2 ** (attempt - 1)));
}

/** Milliseconds of a Retry-After header, in seconds or as a date; undefined when there is none that makes sense. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d{1,9}$/.test(header.trim()) ? Number(header) : undefined;
  // Date.parse takes much for a date that is none.
  const isDate = /^[A-Z][a-z]{2}, /.test(header);
  if (seconds === undefined && !isDate) return undefined;
  const wait = seconds === undefined ? Date.parse(header) - nowMs : seconds * 1000;
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), longestRetryAfterMs);
}

/** Milliseconds from look `number`, which counts from 1, at something that takes its time to the next look. */
export function lookAgainMs(number: number): number {
  return Math.min(longestLookMs, firstLookMs * 2 ** (number - 1));
}
