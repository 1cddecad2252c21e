/** A bandwidth that all connections share: every byte has its turn on one line. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Timers are no finer than this; shorter waits are made up for by the next. */
const shortestWaitMs = 2;

/** When bytes that are handed over at `nowMs` have passed a line of so many bytes a second. Time is given, so that it can be tested. */
export class Line {
  readonly #bytesPerMs: number;
  #freeAtMs = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Milliseconds until the bytes have passed, behind all that was handed over before. */
  pass(bytes: number, nowMs: number): number {
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + bytes / this.#bytesPerMs;
    return this.#freeAtMs - nowMs;
  }
}

/** Waits until so many bytes have passed. */
export type Throttle = (bytes: number) => Promise<void> | undefined;

/** A throttle for a line of so many bytes a second; without a limit it never waits. */
export function throttleTo(bytesPerSecond: number | undefined): Throttle {
  if (bytesPerSecond === undefined) return () => undefined;
  const line = new Line(bytesPerSecond);
  return (bytes) => {
    const waitMs = line.pass(bytes, performance.now());
    return waitMs < shortestWaitMs ? undefined : sleep(waitMs);
  };
}
