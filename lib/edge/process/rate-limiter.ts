/** Holds bytes back so that no more pass in a second than a timetable allows, over all connections that share it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { limitAt, type Timetable, TokenBucket } from '../../core/rate-limit.ts';

/** The time, for tests to set. */
export interface LimiterClock {
  readonly now: () => Date;
  /** Of a clock that is never set. */
  readonly monotonicMs: () => number;
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

const realClock: LimiterClock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  wait: (ms, signal) => sleep(ms, undefined, { signal }),
};

/** Timers are no more exact; the time is not lost, as the next bytes wait for it too. */
const leastWaitMs = 5;

/** The limit of one direction. */
export class RateLimiter {
  readonly #bucket = new TokenBucket();
  readonly #timetable: Timetable;
  readonly #clock: LimiterClock;

  constructor(timetable: Timetable, clock: LimiterClock = realClock) {
    this.#timetable = timetable;
    this.#clock = clock;
  }

  /** False where nothing is ever held back. */
  get isSet(): boolean {
    return this.#timetable.length > 0;
  }

  /** Resolves when bytes may pass. @throws the reason of the signal */
  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    const limit = limitAt(this.#timetable, this.#clock.now());
    const waitMs = this.#bucket.reserve(bytes, limit, this.#clock.monotonicMs());
    if (waitMs < leastWaitMs) return;
    try {
      await this.#clock.wait(waitMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }
}
