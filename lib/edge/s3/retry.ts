/**
 * Requests that are sent again: a body that was begun cannot be replayed by the SDK, and a line that is down for an hour must
 * end in an error, but not at once. All requests of a bucket go through one Retrier, which knows whether it was ever reached.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import retry from 'p-retry';
import { backoffMs, retryAfterMs } from '../../core/backoff.ts';
import { asksToSlowDown, isTransient, mayNeverPass, retryAfterOf } from './s3-errors.ts';
import { Throttle } from './throttle.ts';

/** For a server that was never reached, which is more likely a wrong setting than a bad line, and for bytes that arrive wrong. */
const fewAttempts = 5;

/** A transfer that broke in a way the SDK has no name for: too few bytes, a stall, a digest that does not fit. */
export class TransferError extends Error {
  override readonly name = 'TransferError';
}

/** Told of an attempt that failed, before the wait for the next one. */
export type RetryListener = (what: string, error: Error, attempt: number, waitMs: number) => void;

/** How a Retrier behaves. The clock, the chance and the wait are the real ones unless a test gives others. */
export interface RetrierOptions {
  /** Milliseconds from the first failure of a request during which it is sent again. */
  readonly retryForMs: number;
  /** Transfers at once when all is well. */
  readonly concurrency: number;
  /** Ends every wait. */
  readonly signal: AbortSignal;
  readonly onRetry: RetryListener;
  /** Told how many transfers run at once from now on. */
  readonly onSlowDown: (concurrency: number) => void;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** Sends the requests of one bucket. */
export class Retrier {
  readonly #options: Required<RetrierOptions>;
  readonly #throttle: Throttle;
  #wasReached = false;

  constructor(options: RetrierOptions) {
    const sleep = (ms: number, signal: AbortSignal) => sleepFor(ms, undefined, { signal });
    this.#options = { now: Date.now, random: Math.random, sleep, ...options };
    this.#throttle = new Throttle(options.concurrency);
  }

  /**
   * Sends a small request, again and again with longer and longer waits while it may pass.
   * @param what for messages: `list the backups`, `store part 3 of …`.
   * @throws the last error, or the reason of the signal.
   */
  async run<Result>(
    what: string,
    request: () => Promise<Result>,
    signal = this.#options.signal,
  ): Promise<Result> {
    const { now, onRetry, sleep } = this.#options;
    let firstFailureAtMs: number | undefined;
    const result = await retry(request, {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 0,
      maxTimeout: 0,
      signal,
      shouldRetry: async ({ error, attemptNumber }) => {
        firstFailureAtMs ??= now();
        const waitMs = this.#waitAfter(error, attemptNumber, firstFailureAtMs);
        if (waitMs === undefined || signal.aborted) return false;
        onRetry(what, error, attemptNumber, waitMs);
        await sleep(waitMs, signal).catch(() => signal.throwIfAborted());
        return true;
      },
    });
    this.#wasReached = true;
    return result;
  }

  /** Sends a request that carries the bytes of a part, of which only so many run at once. */
  async transfer<Result>(
    what: string,
    request: () => Promise<Result>,
    signal = this.#options.signal,
  ): Promise<Result> {
    return this.run(what, () => this.#throttle.run(request), signal);
  }

  /** Milliseconds to wait, or undefined when the request is given up. */
  #waitAfter(error: Error, attempt: number, firstFailureAtMs: number): number | undefined {
    if (!isTransient(error)) return undefined;
    const { now, random, retryForMs, onSlowDown } = this.#options;
    if (asksToSlowDown(error)) {
      const concurrency = this.#throttle.slowDown(now());
      if (concurrency !== undefined) onSlowDown(concurrency);
    }
    if (attempt >= fewAttempts && (!this.#wasReached || mayNeverPass(error))) return undefined;
    // A server that asks for no wait at all, time and again, must not be asked without end.
    const waitMs = Math.max(retryAfterMs(retryAfterOf(error), now()) ?? 0, backoffMs(attempt, random()));
    return now() + waitMs - firstFailureAtMs > retryForMs ? undefined : waitMs;
  }
}
