/**
 * Retries requests: the SDK cannot replay a body that was begun, and a network that is down for an hour must
 * end in an error, but not at once. All requests of a bucket go through one Retrier, which knows whether it was ever reached.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { backoffMs, retryAfterMs } from '../../../core/backoff.ts';
import { type Clock, monotonicClock, RunningTime } from '../../process/running-time.ts';
import {
  asksToSlowDown,
  isAbort,
  isTlsError,
  isTransient,
  mayNeverPass,
  retryAfterOf,
} from '../s3-errors.ts';
import { Throttle } from './throttle.ts';

/** For bytes that arrive wrong, and at least for a server that has never answered. */
const fewAttempts = 5;

/** Called for an attempt that failed, before the wait for the next one. `forMs`: for how long the request is repeated at most. */
export type RetryListener = (
  what: string,
  error: Error,
  attempt: number,
  waitMs: number,
  forMs: number,
) => void;

/** How a Retrier behaves. Clock, date, chance and wait are the real ones unless a test gives others. */
export interface RetrierOptions {
  /** Milliseconds from the first failure of a request, or from a stop of the process, during which it is sent again. */
  readonly retryForMs: number;
  /**
   * The same for a server that has not answered once, if that is less: the network may not be up yet, but a setting may be wrong just
   * as well, and a person may be waiting.
   */
  readonly unreachedForMs?: number;
  /** Transfers at once when all is well. */
  readonly concurrency: number;
  readonly onRetry: RetryListener;
  /** Called when a request that had failed is over: whether it succeeded at last. */
  readonly onSettled?: (isDone: boolean) => void;
  /** Called with the number of transfers that run at once from now on. */
  readonly onSlowDown: (concurrency: number) => void;
  readonly clock?: Clock;
  /** The time of day, in which a Retry-After may be given. */
  readonly dateMs?: () => number;
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
    const real = { clock: monotonicClock, dateMs: Date.now, random: Math.random, sleep };
    const usual = { unreachedForMs: options.retryForMs, onSettled: () => undefined };
    this.#options = { ...real, ...usual, ...options };
    this.#throttle = new Throttle(options.concurrency);
  }

  /** One that repeats a request for a shorter time, for work that is not worth such a wait. */
  within(retryForMs: number): Retrier {
    const { retryForMs: usual, ...rest } = this.#options;
    return new Retrier({ ...rest, retryForMs: Math.min(retryForMs, usual) });
  }

  /**
   * Sends a small request, again and again with longer and longer waits while it may pass.
   * @param what for messages: `list the backups`, `store part 3 of …`.
   * @throws the last error, or the reason of the signal.
   */
  async run<Result>(what: string, request: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    const result = await this.runElsewhere(what, request, signal);
    this.#wasReached = true;
    return result;
  }

  /** The same for what is asked of another server, such as the one for credentials: nothing is known of this one then. */
  async runElsewhere<Result>(
    what: string,
    request: () => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { clock, onRetry, onSettled, sleep } = this.#options;
    let failing: RunningTime | undefined;
    let [hasWaited, isDone] = [false, false];
    let wrong = 0;
    try {
      for (let attempt = 1; ; attempt += 1) {
        signal.throwIfAborted();
        try {
          const result = await request();
          signal.throwIfAborted();
          isDone = true;
          return result;
        } catch (error) {
          // Not what an abort made of the request, but why.
          if (isAbort(error) || isTransient(error)) signal.throwIfAborted();
          failing ??= new RunningTime(clock);
          if (mayNeverPass(error)) wrong += 1;
          const waitMs = this.#waitAfter(error, attempt, wrong, failing);
          if (waitMs === undefined) throw error;
          hasWaited = true;
          onRetry(what, error as Error, attempt, waitMs, this.#forMs());
          // An abort ends the wait, and is thrown above.
          await sleep(waitMs, signal).catch(() => undefined);
        }
      }
    } finally {
      failing?.end();
      if (hasWaited) onSettled(isDone);
    }
  }

  /** Sends a request that carries the bytes of a part, of which only so many run at once. */
  async transfer<Result>(what: string, request: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    return this.run(what, () => this.#throttle.run(request), signal);
  }

  /** Waits between looks at what may still appear. @throws the reason of the signal */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.sleep(ms, signal).catch(() => undefined);
    signal.throwIfAborted();
  }

  /** Milliseconds to wait, or undefined when the request is given up. */
  #waitAfter(error: unknown, attempt: number, wrong: number, failing: RunningTime): number | undefined {
    if (!isTransient(error)) return undefined;
    const { clock, dateMs, random, retryForMs, onSlowDown } = this.#options;
    if (asksToSlowDown(error)) {
      const concurrency = this.#throttle.slowDown(clock.now());
      if (concurrency !== undefined) onSlowDown(concurrency);
    }
    if (wrong >= fewAttempts) return undefined;
    // A server that asks for no wait at all, time and again, must not be asked without end.
    const waitMs = Math.max(retryAfterMs(retryAfterOf(error), dateMs()) ?? 0, backoffMs(attempt, random()));
    const endsMs = failing.elapsedMs + waitMs;
    if (attempt >= fewAttempts && (this.#isHopeless(error) || endsMs > this.#forMs())) return undefined;
    return endsMs > retryForMs ? undefined : waitMs;
  }

  /** How long a request is sent again: while nothing is known of the server, perhaps not as long as later. */
  #forMs(): number {
    const { retryForMs, unreachedForMs } = this.#options;
    return this.#wasReached ? retryForMs : Math.min(retryForMs, unreachedForMs);
  }

  /** What a wrong address would answer for ever. */
  #isHopeless(error: unknown): boolean {
    return !this.#wasReached && isTlsError(error);
  }
}
