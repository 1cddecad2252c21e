/** Whether a backup is due. Judged by the times of backups in the bucket alone, and by the clock. */
import type { BackupKind } from '../../format/names.ts';

/** How old backups may get, in seconds. */
export interface Cadence {
  readonly fullEverySeconds: number;
  readonly incrementalEverySeconds: number;
}

/** When the snapshots of the published backups were taken, in milliseconds since 1970. */
export interface PublishedTimes {
  readonly newestMs: number;
  /** Of the full backup at the beginning of the newest one's chain; undefined when that chain cannot be followed. */
  readonly fullMs: number | undefined;
}

/** What is due now, and why; or what is due next; or that the clock is behind the newest backup, so that nothing can be judged. */
export type DueVerdict =
  | { readonly due: 'full'; readonly because: 'age' | 'broken chain' | 'full dated in the future' }
  | { readonly due: 'incremental' }
  | { readonly due: 'nothing'; readonly next: { readonly kind: BackupKind; readonly atMs: number } }
  | { readonly due: 'unknown' };

const hourMs = 3_600_000;

/** A clock that is set right steps back that far at most. */
const clockStepMs = 60_000;

/**
 * By how much a backup may come before its time, in milliseconds: a timer that starts up to an hour later than it could, on a
 * clock that leaves out an hour in spring, would otherwise find nothing due by minutes, and slip by a whole turn.
 */
function toleranceMs(everyMs: number): number {
  return Math.min(everyMs / 10, 3 * hourMs);
}

/**
 * Judges a subvolume that has been backed up before. A kind that is asked for is the only one that can be due. Where both are
 * due, a full one is taken. A chain that is broken or began in the future makes a full one due: it has no age, and would
 * continue for ever.
 */
export function judgeDue(
  asked: BackupKind | 'auto',
  { newestMs, fullMs }: PublishedTimes,
  { fullEverySeconds, incrementalEverySeconds }: Cadence,
  nowMs: number,
): DueVerdict {
  const isOfFuture = (timeMs: number) => timeMs > nowMs + clockStepMs;
  if (isOfFuture(newestMs)) return { due: 'unknown' };
  const isOver = (sinceMs: number, everyMs: number) => nowMs - sinceMs >= everyMs - toleranceMs(everyMs);
  const [fullEveryMs, incrementalEveryMs] = [fullEverySeconds * 1000, incrementalEverySeconds * 1000];
  const next: { readonly kind: BackupKind; readonly atMs: number }[] = [];
  if (asked !== 'incremental') {
    if (fullMs === undefined) return { due: 'full', because: 'broken chain' };
    if (isOfFuture(fullMs)) return { due: 'full', because: 'full dated in the future' };
    if (isOver(fullMs, fullEveryMs)) return { due: 'full', because: 'age' };
    next.push({ kind: 'full', atMs: fullMs + fullEveryMs });
  }
  if (asked !== 'full') {
    if (isOver(newestMs, incrementalEveryMs)) return { due: 'incremental' };
    next.push({ kind: 'incremental', atMs: newestMs + incrementalEveryMs });
  }
  const [first, second] = next;
  if (!first) throw new RangeError(`no kind of backup: ${asked}`);
  return { due: 'nothing', next: second && second.atMs < first.atMs ? second : first };
}
