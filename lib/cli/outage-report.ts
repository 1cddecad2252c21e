/**
 * What the user reads while requests fail: one warning when it begins, one line when it is over, and in between a line at the bottom of
 * the terminal, or a reminder every five minutes in a log. Each attempt is in the log at debug level.
 */
import type { Logger } from 'pino';
import { formatCount, formatDuration } from '../core/units.ts';
import type { BottomLine } from './bottom-lines.ts';

const remindEveryMs = 5 * 60_000;

/** Where it reports to. */
export interface OutageReportOptions {
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn'>;
  /** Shows a line at the bottom of the terminal; undefined where there is no terminal. */
  readonly show?: ((line: BottomLine) => () => void) | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly nowMs?: () => number;
}

/** Where several addresses were tried, Node's error has a code and no words. */
function wordsOf(error: Error & { readonly code?: unknown }): string {
  return error.message || (typeof error.code === 'string' ? error.code : error.name);
}

/** The listeners of a Retrier. */
export function reportOutages({ log, show, nowMs = () => performance.now() }: OutageReportOptions) {
  /** Requests that have failed and not succeeded since. */
  let waiting = 0;
  let sinceMs = 0;
  let remindedMs = 0;
  let last = '';
  let hide: (() => void) | undefined;
  const elapsed = () => formatDuration((nowMs() - sinceMs) / 1000);
  const state = () => `waiting for the server for ${elapsed()}: ${last}`;
  return {
    onRetry(what: string, error: Error, attempt: number, waitMs: number, forMs: number): void {
      const cause = wordsOf(error);
      last = `cannot ${what}: ${cause}`;
      const again = `trying again in ${formatDuration(waitMs / 1000)}`;
      log.debug(`cannot ${what} (attempt ${attempt}): ${cause}; ${again}`);
      if (attempt === 1) waiting += 1;
      if (waiting === 1 && attempt === 1) {
        sinceMs = nowMs();
        remindedMs = sinceMs;
        log.warn(`${last}; trying again for up to ${formatDuration(forMs / 1000)}`);
        hide ??= show?.(state);
      } else if (!show && nowMs() - remindedMs >= remindEveryMs) {
        remindedMs = nowMs();
        log.warn(`${formatCount(waiting, 'request')} still failing after ${elapsed()}: ${last}`);
      }
    },
    /** A request that had failed is over: it succeeded, or was given up. */
    onSettled(isDone: boolean): void {
      waiting -= 1;
      if (waiting > 0) return;
      hide?.();
      hide = undefined;
      if (isDone) log.info(`the server answers again, after ${elapsed()}`);
    },
    onSlowDown: (concurrency: number) =>
      log.warn(`the server asks to slow down: ${formatCount(concurrency, 'part')} at once from now on`),
  };
}
