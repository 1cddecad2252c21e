/** Retiring a subvolume: its whole chain leaves the bucket, and what this host has begun of it is given up. */
import { readdir } from 'node:fs/promises';
import { ToolError } from '../../core/errors.ts';
import { parseSnapshotName, parseTimestamp, readableTimestamp } from '../../core/format/names.ts';
import { planRetire, type RetirePlan } from '../../core/plan/prune/retire-plan.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { deleteObjects } from '../../edge/s3/delete-objects.ts';
import { giveUpRun } from '../backup/upload/give-up-run.ts';
import type { StageContext } from '../context.ts';
import { applyPrune, type PruneOutcome, withRetention } from './apply-prune.ts';
import { findPointer, nothingFound } from './backups.ts';
import { type PruneSurvey, survey } from './prune.ts';

/**
 * Plans to retire a subvolume, and warns of what the plan cannot know. Nothing is written.
 * @throws ToolError (usage) for a name that SUBVOLUMES still has, or of which there is nothing.
 */
export async function planRetirement(
  context: StageContext,
  subvolume: string,
): Promise<PruneSurvey<RetirePlan>> {
  const { bucket, settings, log, now } = context;
  if (settings.SUBVOLUMES?.some(({ name }) => name === subvolume)) {
    throw new ToolError(`"${subvolume}" is in SUBVOLUMES, and would be backed up anew`, {
      kind: 'usage',
      hint: 'take it out of SUBVOLUMES first',
    });
  }
  const found = await survey(context, subvolume, planRetire);
  const [plan] = found.plans;
  if (!plan) throw await nothingFound(bucket, `there is nothing of subvolume "${subvolume}"`);
  const newest = parseTimestamp(plan.newestAt ?? '');
  if (newest && now().getTime() - newest.getTime() < 2000 * settings.INCREMENTAL_EVERY) {
    log.warn(
      `the last backup of ${subvolume} is of ${readableTimestamp(plan.newestAt ?? '')}: see that no other settings file still backs it up`,
    );
  }
  const begun = await new RunDirectory(settings.RUN_DIR, subvolume).readSnapshot();
  if (begun) log.warn(`an unfinished backup of ${subvolume} is given up with it`);
  const snapshots = await localSnapshots(context, subvolume);
  if (snapshots.length > 0) {
    log.warn(
      `local snapshots of ${subvolume} stay; to delete them: btrfs subvolume delete ${settings.SNAPSHOT_DIR}/${subvolume}__*`,
    );
  }
  return found;
}

/**
 * Retires a subvolume. The pointer goes first, then manifests before what they build on and before their chunks, so that it may be
 * cut off anywhere; the next time removes the rest.
 * @throws ToolError when a backup was published since it was planned; nothing is deleted then.
 */
export async function applyRetirement(context: StageContext, plan: RetirePlan): Promise<PruneOutcome> {
  const { bucket, settings } = context;
  const { subvolume, pointer, lastKey } = plan;
  const found = await findPointer(bucket, subvolume);
  const last = found && 'pointer' in found ? found.pointer.manifest_key : undefined;
  if (last !== lastKey) {
    throw new ToolError(`${subvolume} was backed up since this was planned: nothing is removed`, {
      hint: 'see which host or settings file still backs it up',
    });
  }
  const run = new RunDirectory(settings.RUN_DIR, subvolume);
  const begun = await run.readSnapshot();
  if (begun) await giveUpRun(context, run, begun);
  const refused = await withRetention(context, await deleteObjects(bucket, pointer ? [pointer.key] : []));
  if (refused.length > 0) return { manifests: 0, objects: 0, bytes: 0, uploads: 0, refused };
  const outcome = await applyPrune(context, plan);
  return pointer ? { ...outcome, objects: outcome.objects + 1 } : outcome;
}

/** By their names alone: who prunes need not be root, and a disk that is gone is no reason to keep its backups. */
async function localSnapshots({ settings }: StageContext, subvolume: string): Promise<readonly string[]> {
  const { SNAPSHOT_DIR: directory } = settings;
  if (directory === undefined) return [];
  const names = await readdir(directory).catch((): string[] => []);
  return names.filter((name) => parseSnapshotName(subvolume, name) !== undefined);
}
