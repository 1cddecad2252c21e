/** How the backups of this host are: the bucket as it is now, and what the last runs of this host did. */
import { drillEverySeconds } from '../../../core/plan/drill-due.ts';
import { type Complaint, complaintsOf, complaintsOfRuns } from '../../../core/watch/complaints.ts';
import type { SubvolumeHealth } from '../../../core/watch/health.ts';
import type { RunRecord, SubvolumeRun } from '../../../core/watch/run-record.ts';
import { RunDirectory } from '../../../edge/files/run-directory.ts';
import { WatchFiles } from '../../../edge/files/watch-files.ts';
import { isResumed } from '../../backup/abandoned-runs.ts';
import type { StageContext } from '../../context.ts';
import { lookAtBucket } from './look-at-bucket.ts';

/** One subvolume. */
export interface SubvolumeStatus {
  readonly name: string;
  /** False for one that only the bucket knows. */
  readonly isSelected: boolean;
  readonly health: SubvolumeHealth | undefined;
  readonly verify: SubvolumeRun | undefined;
  /** An upload that is not finished: when its snapshot was taken, and whether a run would resume it. */
  readonly unfinished: { readonly created_at: string; readonly isResumed: boolean } | undefined;
  readonly complaints: readonly Complaint[];
}

/** All of them. */
export interface HostStatus {
  readonly subvolumes: readonly SubvolumeStatus[];
  readonly runs: readonly RunRecord[];
  /** What is wrong beside what is wrong with one of them. */
  readonly complaints: readonly Complaint[];
}

/** Looks at the bucket and at RUN_DIR. @throws ToolError when the bucket cannot be asked */
export async function lookAtHost(context: StageContext): Promise<HostStatus> {
  const { settings, bucket, now } = context;
  const found = await lookAtBucket(context);
  const place = `${bucket.name}/${bucket.prefix}`;
  const runs = (await new WatchFiles(settings.RUN_DIR).readRuns()).filter((run) => run.place === place);
  const selected = (settings.SUBVOLUMES ?? []).map(({ name }) => name);
  const names = [...selected, ...[...found.keys()].filter((name) => !selected.includes(name)).sort()];
  const lastOf = (command: string, name: string) =>
    runs.find((run) => run.command === command)?.subvolumes[name];
  const { VERIFY_EVERY, DRILL } = settings;
  const subvolumes: SubvolumeStatus[] = [];
  for (const name of names) {
    const isSelected = selected.includes(name);
    const health = found.get(name);
    const verify = lastOf('verify', name);
    const facts = {
      health: health && { ...health, due: isSelected ? health.due : null },
      backup: isSelected ? lastOf('backup', name) : undefined,
      verify,
      verifyEveryMs: VERIFY_EVERY === 'never' ? undefined : VERIFY_EVERY * 1000,
      drillEveryMs: DRILL === 'off' ? undefined : drillEverySeconds(DRILL) * 1000,
    };
    const unfinished = await new RunDirectory(settings.RUN_DIR, name).readSnapshot().catch(() => undefined);
    subvolumes.push({
      name,
      isSelected,
      health: facts.health,
      verify,
      unfinished: unfinished && {
        created_at: unfinished.created_at,
        isResumed: isResumed(settings, name),
      },
      complaints: complaintsOf(facts, now().getTime()),
    });
  }
  const ofSubvolumes = subvolumes.flatMap(({ complaints }) => complaints);
  return { subvolumes, runs, complaints: complaintsOfRuns(runs, ofSubvolumes) };
}
