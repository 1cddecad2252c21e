/** When a thaw will be over, as far as that is known: only of what this run asked for is the tier known, since the bucket shows none. */
import { formatDuration } from '../units.ts';
import { type ThawTier, thawTime } from './archive-classes.ts';
import type { ThawProgress } from './thaw-plan.ts';

/** Seconds at best and at worst. */
type Seconds = readonly [from: number, to: number];

/** `known` counts from this run's requests, `unknown` from those of an earlier run, `unasked` from requests that have not been made yet. */
export type ReadyTime =
  | { readonly kind: 'now' }
  | { readonly kind: 'known' | 'unasked'; readonly seconds: Seconds }
  | { readonly kind: 'unknown'; readonly seconds: Seconds };

/** @param tier in which what is cold would be asked for */
export function readyTime({ waits }: ThawProgress, tier: ThawTier): ReadyTime {
  if (waits.length === 0) return { kind: 'now' };
  const isUnknown = waits.some((wait) => wait.isAsked && wait.tier === undefined);
  const times = waits.map((wait): Seconds => {
    // The slowest tier that there is.
    if (wait.isAsked && wait.tier === undefined) return [0, thawTime(wait.archive, 'Bulk')?.[1] ?? 0];
    return thawTime(wait.archive, wait.tier ?? tier) ?? thawTime(wait.archive, 'Standard') ?? [0, 0];
  });
  const seconds: Seconds = [Math.max(...times.map(([from]) => from)), Math.max(...times.map(([, to]) => to))];
  if (isUnknown) return { kind: 'unknown', seconds: [0, seconds[1]] };
  return { kind: waits.every(({ isAsked }) => isAsked) ? 'known' : 'unasked', seconds };
}

/** A clause for people: how long it takes, and from when on; undefined when all can be read. */
export function describeReadyTime(ready: ReadyTime): string | undefined {
  if (ready.kind === 'now') return undefined;
  const time = describeSeconds(ready.seconds);
  return {
    known: `it takes ${time} from the request on`,
    unasked: `it takes ${time} from the request, which has not been made yet`,
    unknown: `it was requested before, in a tier that the bucket does not show: ${time} from that request`,
  }[ready.kind];
}

/** `3h 00m to 5h 00m`, `12h 00m at most`: a time for people. */
export function describeSeconds([from, to]: Seconds): string {
  return from > 0 ? `${formatDuration(from)} to ${formatDuration(to)}` : `${formatDuration(to)} at most`;
}
