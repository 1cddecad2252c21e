/** What is wrong with the backups of a subvolume, in clauses for the user: by how the bucket looks, and by what the last runs found. */
import { readableTime } from '../format/names.ts';
import { DAY_MS } from '../units.ts';
import type { SubvolumeHealth } from './health.ts';
import { isFailure, isStopped, type RunRecord, type SubvolumeRun } from './run-record.ts';

/** What is known of a subvolume. */
export interface SubvolumeFacts {
  /** Undefined where the bucket has nothing of it. */
  readonly health: SubvolumeHealth | undefined;
  /** The last runs for it, where RUN_DIR knows of them. */
  readonly backup: SubvolumeRun | undefined;
  readonly verify: SubvolumeRun | undefined;
  /** How often to verify and to drill, in milliseconds; undefined: never. */
  readonly verifyEveryMs: number | undefined;
  readonly drillEveryMs: number | undefined;
}

/** One of them. */
export interface Complaint {
  readonly text: string;
  /** True where something in the bucket is damaged. */
  readonly isDamage: boolean;
  /** When the drill began of which it speaks, as ISO 8601. */
  readonly drillAt?: string;
}

/** A timer that looks once a night may be a day late. */
const toleranceMs = DAY_MS;

/** All that is wrong; nothing where all is well. `nowMs` is in milliseconds since 1970. */
export function complaintsOf(facts: SubvolumeFacts, nowMs: number): readonly Complaint[] {
  const { health, backup, verify } = facts;
  const wrong = (text: string): Complaint => ({ text, isDamage: false });
  const damage = (text: string): Complaint => ({ text, isDamage: true });
  const complaints: Complaint[] = [];
  if (!health?.newest && !health?.why_not) complaints.push(wrong('there is no backup yet: make backup'));
  if (health?.why_not) {
    complaints.push(damage(`the newest backup cannot be restored: ${health.why_not}; make verify says more`));
  }
  const dueMs = health?.due ? Date.parse(health.due.at) : undefined;
  if (health?.due && dueMs !== undefined && nowMs > dueMs + toleranceMs) {
    complaints.push(
      wrong(`the next ${health.due.kind} backup was due ${timeOf(dueMs)}: is the timer active?`),
    );
  }
  if (backup?.outcome === 'failed') {
    complaints.push(
      wrong(`the last make backup (${timeOf(Date.parse(backup.finished_at))}) failed: ${backup.problem}`),
    );
  }
  if (verify?.outcome === 'damaged') {
    complaints.push(
      damage(
        `the last make verify (${timeOf(Date.parse(verify.finished_at))}) found damage: ${verify.problem}; make verify says which`,
      ),
    );
  }
  const { verifyEveryMs, drillEveryMs } = facts;
  if (verify?.ok_at && isStale(Date.parse(verify.ok_at), verifyEveryMs, nowMs)) {
    complaints.push(wrong(`it was not verified since ${timeOf(Date.parse(verify.ok_at))}: make verify`));
  }
  const { drill, drills_failed: failed } = health ?? {};
  if (drill && !drill.is_sound) {
    const text = `the drill of ${timeOf(Date.parse(drill.at))} found that the backup is damaged`;
    complaints.push({ ...damage(text), drillAt: drill.at });
  }
  if (failed && drillEveryMs !== undefined) {
    const which = failed.count === 1 ? 'drill' : `${failed.count} drills`;
    const why = failed.problem === null ? '' : `: ${failed.problem}`;
    const text = `the last ${which} failed (${timeOf(Date.parse(failed.at))})${why}`;
    complaints.push({ ...wrong(text), drillAt: failed.at });
  } else if (drill?.is_sound && isStale(Date.parse(drill.at), drillEveryMs, nowMs)) {
    complaints.push(wrong(`the last drill was ${timeOf(Date.parse(drill.at))}: make drill`));
  }
  return complaints;
}

/** The commands whose last run is reported as a whole; stages of a backup are run by hand. */
const reported: ReadonlySet<string> = new Set(['backup', 'verify', 'drill', 'prune']);

/**
 * The last runs that failed before they came to a subvolume, or for another reason than one of them.
 * @param ofSubvolumes what is said of these already
 */
export function complaintsOfRuns(
  runs: readonly RunRecord[],
  ofSubvolumes: readonly Complaint[],
): readonly Complaint[] {
  return runs.flatMap((run) => {
    const { command, finished_at, exit_code, problem } = run;
    if (!reported.has(command) || isStopped(exit_code) || !isFailure(run, exit_code)) return [];
    // The backup that holds the lock is recorded when it ends, and one that never ends makes the next overdue.
    if (command === 'backup' && exit_code === 3) return [];
    const isExplained = Object.values(run.subvolumes).some(
      (each) => each.finished_at === finished_at && ['failed', 'damaged'].includes(each.outcome),
    );
    if (isExplained || (command === 'drill' && ofSubvolumes.some(isOfDrillIn(run)))) return [];
    const why = problem === null ? '' : `: ${problem}`;
    const text = `the last make ${command} (${timeOf(Date.parse(finished_at))}) ended with exit code ${exit_code}${why}`;
    return [{ text, isDamage: exit_code === 4 }];
  });
}

/** Whether a complaint is of a drill that a run has made, and as bad as how this ended. */
function isOfDrillIn({ started_at, finished_at, exit_code }: RunRecord): (complaint: Complaint) => boolean {
  const [startedMs, finishedMs] = [Date.parse(started_at), Date.parse(finished_at)];
  return ({ drillAt = '', isDamage }) => {
    const ms = Date.parse(drillAt);
    return ms >= startedMs && ms <= finishedMs && isDamage === (exit_code === 4);
  };
}

function isStale(lastMs: number, everyMs: number | undefined, nowMs: number): boolean {
  return everyMs !== undefined && nowMs > lastMs + everyMs + toleranceMs;
}

/** To the minute. */
function timeOf(ms: number): string {
  return readableTime(new Date(ms))
    .replace('T', ' ')
    .replace(/:\d\dZ$/, ' UTC');
}
