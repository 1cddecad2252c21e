/** Runs checks beside each other. None waits for another, and none hides what another has found. */
import pMap from 'p-map';
import { formatDuration } from '../../../core/units.ts';
import { CLEAN_UP_MS, endingWithin } from '../../../edge/process/abort-scope.ts';
import { broken, type Check, type Diagnosis, type Finding, failure } from './check.ts';

const checksAtOnce = 8;

/** As long as a check may take; a server or a network mount may never answer. */
export const CHECK_LIMIT_MS = 30_000;

/**
 * Runs all checks; what they found is in their order. One that is late is stopped, and has a moment to clean up.
 * @throws the reason of the signal
 */
export async function runChecks(
  checks: readonly Check[],
  signal: AbortSignal,
  limitMs = CHECK_LIMIT_MS,
  cleanUpMs = CLEAN_UP_MS,
): Promise<readonly Diagnosis[]> {
  const found = await pMap(checks, (check) => runOne(check, signal, { limitMs, cleanUpMs }), {
    concurrency: checksAtOnce,
  });
  signal.throwIfAborted();
  return found.flat();
}

async function runOne(
  { name, look }: Check,
  outer: AbortSignal,
  { limitMs, cleanUpMs }: { readonly limitMs: number; readonly cleanUpMs: number },
): Promise<readonly Diagnosis[]> {
  const { ending, signal } = endingWithin(outer);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Finding[]>((resolve) => {
    const says = `there was no result within ${formatDuration(limitMs / 1000)}`;
    timer = setTimeout(
      () => resolve([broken(says, 'look for a network mount or a server that does not answer')]),
      limitMs,
    );
  });
  const looked = look(signal).catch((error: unknown) => [failure(error)]);
  const findings = await Promise.race([looked, late]);
  clearTimeout(timer);
  ending.abort();
  // The process may end soon, and what a late check has begun in the bucket would stay there.
  const moment = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, cleanUpMs);
  });
  await Promise.race([looked, moment]);
  clearTimeout(timer);
  return findings.map((finding) => ({ check: name, ...finding }));
}
