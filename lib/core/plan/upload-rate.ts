/** How fast an upload is, and whether a chunk is complete before a lifecycle rule ends its upload. */

/** Less says more of the beginning and the end than of the network between. */
const leastBytes = 64 * 2 ** 20;
const leastSeconds = 10;
const secondsADay = 86_400;

/** Bytes a second, or undefined where too few were sent to tell. */
export function measuredRate(sentBytes: number, seconds: number): number | undefined {
  return sentBytes >= leastBytes && seconds >= leastSeconds ? sentBytes / seconds : undefined;
}

/**
 * How many seconds the largest chunk of a stream takes, if that is longer than a rule gives to uploads; undefined if it is not.
 * @param days of the rule: the least that it can be is one.
 */
export function secondsBeyondRule(
  { streamBytes, chunkSizeBytes, rate }: ExpectedUpload,
  days: number,
): number | undefined {
  const seconds = Math.min(streamBytes, chunkSizeBytes) / rate;
  return seconds > days * secondsADay ? seconds : undefined;
}

/** What is expected of an upload. */
export interface ExpectedUpload {
  readonly streamBytes: number;
  readonly chunkSizeBytes: number;
  /** Bytes a second. */
  readonly rate: number;
}
