/** What the last run of a command did, as it stands in RUN_DIR/@watch/: for the metrics and make status. Losing it costs nothing else. */
import { z } from 'zod';

const published = z.object({
  kind: z.enum(['full', 'incremental']),
  created_at: z.string(),
  manifest_key: z.string(),
  bytes: z.number(),
  chunks: z.number(),
  /** From planning to publishing, an interruption included. */
  seconds: z.number(),
  chain_length: z.number().nullable(),
});

const subvolumeRunSchema = z.object({
  /** When this command was last run for it, as ISO 8601. */
  finished_at: z.string(),
  /** `failed` says nothing of what is in the bucket; `incomplete`: some of it is archived and was not read. */
  outcome: z.enum(['published', 'nothing due', 'failed', 'sound', 'damaged', 'incomplete']),
  /** What failed, or is damaged. */
  problem: z.string().nullable(),
  /** When it last went well. */
  ok_at: z.string().nullable(),
  /** The last backup that was published from here. */
  published: published.nullable(),
});

/** One file for each command. */
export const runRecordSchema = z.object({
  version: z.literal(1),
  command: z.string(),
  /** Which bucket and prefix: what is said of subvolumes elsewhere is forgotten. */
  place: z.string(),
  started_at: z.string(),
  finished_at: z.string(),
  exit_code: z.int(),
  /** When it last came to a conclusion, of all subvolumes: sound or damaged, or pruned. */
  done_at: z.string().nullable().default(null),
  /** The last error of the log. */
  problem: z.string().nullable(),
  subvolumes: z.record(z.string(), subvolumeRunSchema),
});

export type PublishedFacts = z.output<typeof published>;
export type SubvolumeRun = z.output<typeof subvolumeRunSchema>;
export type RunRecord = z.output<typeof runRecordSchema>;

/** What a run found out of one subvolume. */
export interface RunFacts extends Pick<SubvolumeRun, 'outcome' | 'problem'> {
  readonly published?: PublishedFacts;
}

/** Outcomes after which nothing has to be done. */
const good: ReadonlySet<SubvolumeRun['outcome']> = new Set(['published', 'nothing due', 'sound']);

/**
 * The record after a run: subvolumes that it did not look at keep what an earlier one found. A whole run that is not stopped looks at all
 * that there are: others were taken out of the settings, or retired, and nothing would ever end what was said of them.
 */
export function recordRun(
  earlier: RunRecord | undefined,
  run: Omit<RunRecord, 'version' | 'subvolumes' | 'done_at'> & { readonly isWhole?: boolean },
  facts: ReadonlyMap<string, RunFacts>,
): RunRecord {
  const { isWhole = true, ...fields } = run;
  const isDone = isWhole && (run.exit_code === 0 || run.exit_code === 4);
  const done_at = isDone ? run.finished_at : earlier?.place === run.place ? earlier.done_at : null;
  const known = earlier?.place === run.place ? earlier.subvolumes : {};
  const looksAtAll = isWhole && facts.size > 0 && !isStopped(run.exit_code);
  const subvolumes: Record<string, SubvolumeRun> = looksAtAll ? {} : { ...known };
  for (const [name, { outcome, problem, published: now }] of facts) {
    subvolumes[name] = {
      finished_at: run.finished_at,
      outcome,
      problem,
      ok_at: good.has(outcome) ? run.finished_at : (known[name]?.ok_at ?? null),
      published: now ?? known[name]?.published ?? null,
    };
  }
  return { version: 1, ...fields, done_at, subvolumes };
}

/** Whether something has to be done: a drill or a verify may wait for a thaw, but a backup that does is not made. */
export function isFailure({ command }: Pick<RunRecord, 'command'>, exitCode: number): boolean {
  if (exitCode === 5) return command === 'backup';
  // Another run may hold the lock for days. A prune can wait, and the drill that holds the other's lock is reported itself.
  return exitCode !== 0 && !(exitCode === 3 && ['prune', 'drill'].includes(command));
}

/** Stopped by a signal that asks for it: neither a success nor a failure. */
export function isStopped(exitCode: number): boolean {
  return [129, 130, 143].includes(exitCode);
}
