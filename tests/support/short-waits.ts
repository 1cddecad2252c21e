/** Waits of seconds and minutes, cut short, so that tests of retries and timeouts do not take as long. */
import { after, before } from 'node:test';

/** For the whole test file: timers of `longestMs` and more that begin after this call last so many times less. */
export function shortenWaits(longestMs = 400, times = 400): void {
  const original = globalThis.setTimeout;
  before(() => {
    const shortened = (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      original(callback, ms >= longestMs ? Math.ceil(ms / times) : ms, ...args);
    globalThis.setTimeout = Object.assign(shortened, original) as typeof setTimeout;
  });
  after(() => {
    globalThis.setTimeout = original;
  });
}
