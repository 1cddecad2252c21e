/** Progress that also measures how fast the stream goes from beginning to end. */
import { measuredRate } from '../../../core/plan/upload-rate.ts';
import { monotonicClock } from '../../../edge/process/running-time.ts';
import type { Progress } from '../../../transfer/transfer-context.ts';

/** Hands on what is added. */
export class RateMeter implements Progress {
  readonly #progress: Progress;
  readonly #sinceMs = monotonicClock.now();
  #bytes = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  /** Bytes of the stream a second up to now; undefined where there were too few to tell. */
  get rate(): number | undefined {
    return measuredRate(this.#bytes, (monotonicClock.now() - this.#sinceMs) / 1000);
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#progress.add(bytes);
  }

  /** Takes back what was added, because it passes once more. */
  takeBack(): void {
    this.add(-this.#bytes);
  }

  expect(totalBytes: number): void {
    this.#progress.expect(totalBytes);
  }

  waitFor(what: string): void {
    this.#progress.waitFor(what);
  }

  stop(): void {
    this.#progress.stop();
  }
}
