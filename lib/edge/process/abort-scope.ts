/** How a piece of work that is part of a larger one ends: with the larger one, or by itself. */
import { setMaxListeners } from 'node:events';

/** `signal` is aborted when the outer one is, and by `ending`, which stops what is still under way for this piece of work. */
export function endingWithin(outer: AbortSignal): {
  readonly ending: AbortController;
  readonly signal: AbortSignal;
} {
  const ending = new AbortController();
  const signal = AbortSignal.any([outer, ending.signal]);
  // Every request listens, and from the eleventh on Node would print a warning of a leak.
  setMaxListeners(0, signal);
  return { ending, signal };
}

/** What a promise brings. @throws the reason of the signal, if that is aborted first */
export function untilAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** As long as cleaning up may take once a run is stopped: whoever stops it does not wait for more. */
export const CLEAN_UP_MS = 4000;

/**
 * Cleans up after a piece of work. The signal for that is aborted only a moment after the outer one: what a stopped run has begun in
 * the bucket would stay there otherwise.
 */
export async function outlasting<Result>(
  outer: AbortSignal,
  cleanUp: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const ending = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const startToEnd = () => {
    timer = setTimeout(() => ending.abort(outer.reason), CLEAN_UP_MS);
  };
  if (outer.aborted) startToEnd();
  else outer.addEventListener('abort', startToEnd, { once: true });
  try {
    return await cleanUp(ending.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', startToEnd);
  }
}
