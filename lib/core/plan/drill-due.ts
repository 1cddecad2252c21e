/** Whether a drill is due: judged by when the last one began that came to a conclusion, and by the clock. */
import { DAY_MS } from '../units.ts';

/** How often a timer drills. */
export type DrillCadence = 'monthly' | 'weekly';

const everyMs: Readonly<Record<DrillCadence, number>> = { monthly: 30 * DAY_MS, weekly: 7 * DAY_MS };

/** Seconds between two drills. */
export function drillEverySeconds(cadence: DrillCadence): number {
  return everyMs[cadence] / 1000;
}

/** A timer with a random delay must not slip by a whole turn. */
const toleranceMs = 3 * 3_600_000;

/** A clock that is set right steps back that far at most. */
const clockStepMs = 60_000;

/** It is due, or when it will be, and after how many that failed; or the last one is dated in the future by this clock, so that it is unknown. */
export type DrillVerdict =
  | { readonly due: true }
  | { readonly due: false; readonly atMs: number; readonly failures?: number }
  | { readonly due: 'unknown' };

/**
 * Judges by the time of the last drill that came to a conclusion, undefined where there was none, and by those that failed since. Each of these may
 * have thawed and fetched the whole chain, which is paid for: after the second in a row the next waits two days, then four, then eight, up to the
 * usual time.
 * @param failedMs when they began, the newest first. All times are in milliseconds since 1970
 */
export function judgeDrill(
  cadence: DrillCadence,
  lastMs: number | undefined,
  nowMs: number,
  failedMs: readonly number[] = [],
): DrillVerdict {
  const isOfFuture = (timeMs: number) => timeMs > nowMs + clockStepMs;
  if (lastMs !== undefined) {
    if (isOfFuture(lastMs)) return { due: 'unknown' };
    const atMs = lastMs + everyMs[cadence];
    if (nowMs < atMs - toleranceMs) return { due: false, atMs };
  }
  const [newest] = failedMs;
  const failures = failedMs.length;
  if (newest === undefined || failures < 2 || isOfFuture(newest)) return { due: true };
  const atMs = newest + Math.min(2 ** Math.min(failures - 1, 30) * DAY_MS, everyMs[cadence]);
  return nowMs < atMs - toleranceMs ? { due: false, atMs, failures } : { due: true };
}
