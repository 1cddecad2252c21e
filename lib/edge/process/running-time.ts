/** Time in which this process could do something: what a deadline for work may count. */

/** A clock and its ticks; real ones unless a test gives others. */
export interface Clock {
  /** Milliseconds that never go back. */
  readonly now: () => number;
  /** Calls again and again until it is ended by what it returns. */
  readonly every: (ms: number, tick: () => void) => () => void;
}

/** CLOCK_MONOTONIC, which stands still while the machine sleeps (clock_gettime(2)). */
export const monotonicClock: Clock = {
  now: () => performance.now(),
  every: (ms, tick) => {
    const timer = setInterval(tick, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};

const tickMs = 1000;

/** A process that is only busy is late too, but not by so much. */
const mostBetweenTicksMs = 10_000;

/**
 * Runs from its construction, and starts again when the process continues after a stop (SIGSTOP, a frozen cgroup), during which there are
 * no ticks: the time before a stop says nothing about the time after it.
 */
export class RunningTime {
  readonly #clock: Clock;
  readonly #endTicks: () => void;
  #lastMs: number;
  #elapsedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMs = clock.now();
    this.#endTicks = clock.every(tickMs, () => this.#count());
  }

  /** Milliseconds so far. Work with a deadline gets all of its time again after a stop. */
  get elapsedMs(): number {
    this.#count();
    return this.#elapsedMs;
  }

  /** Ends the ticks. */
  end(): void {
    this.#endTicks();
  }

  #count(): void {
    const nowMs = this.#clock.now();
    const passedMs = nowMs - this.#lastMs;
    this.#elapsedMs = passedMs > mostBetweenTicksMs ? 0 : this.#elapsedMs + passedMs;
    this.#lastMs = nowMs;
  }
}
