/** Whether a task of a timer is due, such as a verify: judged by when it was last done, and by the clock. */

/** A timer with a random delay must not slip by a whole turn. */
const mostToleranceMs = 3 * 3_600_000;

/**
 * When it is due next, in milliseconds since 1970; undefined when it is due now, as it also is where it was never done, or only in the future.
 * @param doneAt ISO 8601; null where that is not known
 */
export function nextTaskMs(everySeconds: number, doneAt: string | null, nowMs: number): number | undefined {
  const doneMs = doneAt === null ? Number.NaN : Date.parse(doneAt);
  if (Number.isNaN(doneMs) || doneMs > nowMs) return undefined;
  const everyMs = everySeconds * 1000;
  const dueMs = doneMs + everyMs;
  return nowMs >= dueMs - Math.min(everyMs / 10, mostToleranceMs) ? undefined : dueMs;
}
