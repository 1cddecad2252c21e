/** How many transfers run at once: half as many when the server asks to slow down, and one more again as they succeed. */
import limit from 'p-limit';

/** Transfers that ran together are slowed down together: that counts once. */
const settleMs = 2000;

/** A gate for the transfers of one bucket. */
export class Throttle {
  readonly #limit: ReturnType<typeof limit>;
  readonly #most: number;
  #successes = 0;
  #slowedAtMs = Number.NEGATIVE_INFINITY;

  /** @param most transfers at once when all is well. */
  constructor(most: number) {
    this.#most = most;
    this.#limit = limit(most);
  }

  /** Transfers that may run at once now. */
  get current(): number {
    return this.#limit.concurrency;
  }

  /** Runs a transfer as soon as there is room. */
  async run<Result>(transfer: () => Promise<Result>): Promise<Result> {
    const result = await this.#limit(transfer);
    this.#successes += 1;
    if (this.#successes >= this.current && this.current < this.#most) {
      this.#limit.concurrency += 1;
      this.#successes = 0;
    }
    return result;
  }

  /** Halves, down to one. @returns how many may run at once now, or undefined when it was halved just before */
  slowDown(nowMs: number): number | undefined {
    if (nowMs - this.#slowedAtMs < settleMs) return undefined;
    this.#slowedAtMs = nowMs;
    this.#successes = 0;
    this.#limit.concurrency = Math.max(1, Math.floor(this.current / 2));
    return this.current;
  }
}
