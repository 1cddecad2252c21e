/** What a backup did for each subvolume: for the record of the run, and as the event `backup-finished` of the log (docs/logs.md). */
import { describeError } from '../../core/errors.ts';
import type { PublishedFacts, RunFacts } from '../../core/watch/run-record.ts';
import type { NothingDue } from '../../stage/backup/plan-if-due.ts';
import type { PublishOutcome } from '../../stage/backup/publish/publish.ts';
import type { PreparedBackup } from '../../stage/backup/snapshot.ts';
import type { StageResults } from '../for-each-subvolume.ts';
import type { RunningScript } from '../options/script-definition.ts';

/** The stages of a run, as far as they came. */
export interface BackupStages {
  readonly planned?: StageResults<PreparedBackup | NothingDue>;
  readonly uploaded?: StageResults<unknown>;
  readonly published: StageResults<PublishOutcome>;
}

/** Notes what became of each subvolume. */
export function noteBackups(
  { note, event }: Pick<RunningScript<string>, 'note' | 'event'>,
  { planned, uploaded, published }: BackupStages,
): void {
  const facts = new Map<string, RunFacts>();
  for (const [name, plan] of planned?.results ?? []) {
    const isNothing = 'next' in plan || plan.kind === 'none';
    if (isNothing) facts.set(name, { outcome: 'nothing due', problem: null });
  }
  for (const stage of [planned, uploaded, published]) {
    for (const [name, error] of stage?.errors ?? []) {
      facts.set(name, { outcome: 'failed', problem: describeError(error) });
    }
  }
  for (const [name, outcome] of published.results) {
    facts.set(name, { outcome: 'published', problem: null, published: factsOf(outcome) });
  }
  for (const [name, { outcome, problem, published: done }] of facts) {
    note(name, { outcome, problem, ...(done && { published: done }) });
    const rate = done && Math.round(done.bytes / Math.max(1, done.seconds));
    const numbers = done && { ...done, bytes_per_second: rate };
    const fields = {
      event: 'backup-finished',
      subvolume: name,
      outcome,
      ...(problem !== null && { problem }),
    };
    event({ ...fields, ...numbers }, `${name}: ${problem ?? outcome}`);
  }
}

function factsOf({ manifestKey, manifest, chainLength, seconds }: PublishOutcome): PublishedFacts {
  return {
    kind: manifest.kind,
    created_at: manifest.created_at,
    manifest_key: manifestKey,
    bytes: manifest.total_bytes,
    chunks: manifest.chunks.length,
    seconds,
    chain_length: chainLength ?? null,
  };
}
