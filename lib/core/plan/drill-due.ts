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

/** It is due, or when it will be; or the last one is dated in the future by this clock, so that it is unknown. */
export type DrillVerdict =
  | { readonly due: true }
  | { readonly due: false; readonly atMs: number }
  | { readonly due: 'unknown' };

/** Judges by the time of the last drill, in milliseconds since 1970; undefined where there was none. */
export function judgeDrill(cadence: DrillCadence, lastMs: number | undefined, nowMs: number): DrillVerdict {
  if (lastMs === undefined) return { due: true };
  if (lastMs > nowMs + clockStepMs) return { due: 'unknown' };
  const atMs = lastMs + everyMs[cadence];
  return nowMs >= atMs - toleranceMs ? { due: true } : { due: false, atMs };
}
