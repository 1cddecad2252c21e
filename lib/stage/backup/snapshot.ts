/** The first stage: decide what to send, take the read-only snapshot or adopt one, and leave snapshot.json for the upload. */

import { ToolError } from '../../core/errors.ts';
import { type BackupKind, parseTimestamp } from '../../core/format/names.ts';
import { nothingNew } from '../../core/plan/backup/adopted-snapshots.ts';
import { type ImpossiblePlan, planBackup, withoutParent } from '../../core/plan/backup/backup-plan.ts';
import type { SelectedSubvolume } from '../../core/settings/rules.ts';
import { pathExists } from '../../edge/files/files.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { findPointer } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';
import { requestingThaws } from '../restore/thaw-documents.ts';
import { checkClock, passSecondOf } from './backup-time.ts';
import { findLastBackup, isRemembered, refuseMovedPrefix, refuseStranger } from './last-backup.ts';
import { findMovedCopies } from './local/moved-copies.ts';
import { findOwnSnapshot, lookForParent, withoutCopy } from './local/parent.ts';
import { lookAtUnfinished, nameForPeople } from './local/unfinished-run.ts';
import { warnOfOtherName } from './other-name.ts';
import { isFullDue, type NothingDue, planIfDue, tellIfOverdue } from './plan-if-due.ts';
import { type PreparedBackup, prepare } from './prepare.ts';
import { probeOnce } from './probe-server.ts';
import { openSource, type SnapshotSource } from './snapshot-source.ts';
import { findUnfinished } from './unfinished.ts';
import { giveUpRun } from './upload/give-up-run.ts';
import { giveUpStrays } from './upload/give-up-uploads.ts';

export type { BackupOrigin, PreparedBackup } from './prepare.ts';

/** What is asked for. */
export interface SnapshotRequest {
  readonly kind: BackupKind | 'auto';
  /** Begin a backup only when one is due. An unfinished one resumes all the same, of whatever kind it is. */
  readonly ifDue: boolean;
  /** Plan and say so, but change nothing. */
  readonly dryRun: boolean;
}

/**
 * Prepares one subvolume's backup. An unfinished run whose snapshot is still there resumes. Where the last backup cannot be read
 * because it is archived, its thaw is requested.
 * @throws ToolError when the subvolume, SNAPSHOT_DIR or the bucket cannot be used; no snapshot is left then.
 */
export function prepareSnapshot(
  context: StageContext,
  subvolume: SelectedSubvolume,
  request: SnapshotRequest,
): Promise<PreparedBackup | NothingDue> {
  return requestingThaws(context, subvolume.name, request.dryRun, () =>
    planSnapshot(context, subvolume, request),
  );
}

async function planSnapshot(
  context: StageContext,
  subvolume: SelectedSubvolume,
  request: SnapshotRequest,
): Promise<PreparedBackup | NothingDue> {
  let source = await openSource(context, subvolume);
  const run = new RunDirectory(context.settings.RUN_DIR, subvolume.name);
  const pointer = await findPointer(context.bucket, subvolume.name);
  const unfinished = await findUnfinished(context, run, pointer, request.dryRun);
  const published = await run.readPublished();
  const continued = await run.readContinued();
  const isLastNeeded = request.kind !== 'full' || request.ifDue;
  if (isLastNeeded) refuseMovedPrefix(context, subvolume.name, pointer, continued ?? published);

  if (unfinished) {
    const { file } = unfinished;
    const asked = request.ifDue ? 'auto' : request.kind;
    const looked =
      unfinished.obstacle === undefined
        ? await lookAtUnfinished(context, run, file, { asked, source, pointer })
        : { obstacle: unfinished.obstacle };
    if ('file' in looked) {
      if (!request.dryRun) {
        if (!(await pathExists(run.journalPath))) await giveUpStrays(context, run, file);
        // Its snapshots may be elsewhere by now.
        await run.writeSnapshot(looked.file);
      }
      const reason = `resuming unfinished ${nameForPeople(looked.file)}`;
      const { path } = looked.file.snapshot;
      const origin = { path, toTake: undefined, parent: looked.file.parent ?? undefined };
      return { kind: file.kind, reason, snapshotPath: path, origin };
    }
    context.log.warn(`${subvolume.name}: an unfinished backup is given up: ${looked.obstacle}`);
    if (!request.dryRun) {
      await giveUpStrays(context, run, file);
      await giveUpRun(context, run, file);
      // Its key may be taken, so the next backup is of a later second.
      if (unfinished.obstacle !== undefined) await passSecondOf(context, file.created_at);
      // Its snapshot may have been one of those that were found.
      source = await openSource(context, subvolume);
    }
  }

  const last = isLastNeeded ? await findLastBackup(context, subvolume.name, pointer) : undefined;
  if (!pointer && !last) await warnOfOtherName(context, subvolume.name, source);
  const { next } = source;
  // A host that nothing here ties to the last backup has none of its own: it is not due, it is missing.
  const canBeDue = (here: SnapshotSource['here']) =>
    request.ifDue && last && !('unreadable' in last) && isRemembered(last, here, published, continued)
      ? last
      : undefined;
  // A full backup needs no parent: nothing that is wrong with one may stand in its way.
  const known = canBeDue(source.here);
  const isFull = request.kind === 'full' || (known !== undefined && isFullDue(context, request.kind, known));
  const moved = isFull ? undefined : await findMovedCopies(source, last, continued);
  if (moved) source = { ...source, here: [...source.here, ...moved.copies] };
  const { snapshot: own, outOfReach } = await findOwnSnapshot(source, last).catch((error: unknown) => {
    if (isFull && error instanceof ToolError) return { snapshot: undefined, outOfReach: undefined };
    throw moved?.outOfReach ?? error;
  });
  if (moved?.outOfReach && !own) throw moved.outOfReach;
  const here = own ? [...source.here, own] : source.here;
  if (last && 'manifest' in last) {
    refuseStranger(context, last, here, source.filesystemUuid, published, continued);
  }
  if ('adopt' in next && isLastNeeded && !(last && 'chain' in last && 'problem' in last.chain)) {
    // With a clock that is behind, or was ahead, nothing would be newer for a long time.
    if (last && 'manifest' in last)
      checkClock(context, subvolume.name, parseTimestamp(last.manifest.created_at));
    const reason = nothingNew(next.adopt, here, last);
    if (reason !== undefined) {
      if (request.ifDue && last && 'manifest' in last) tellIfOverdue(context, request.kind, last);
      return { kind: 'none', reason, snapshotPath: undefined };
    }
  }
  const { base, candidate } =
    request.kind === 'full'
      ? { base: last, candidate: undefined }
      : await lookForParent(context, source, last, { own, continued });
  const possible = planBackup(request.kind, source.subvolume, base, candidate);
  if (outOfReach && !isFull && !('parent' in possible && possible.parent)) {
    throw withoutCopy(outOfReach, 'impossible' in possible ? possible.impossible : possible.reason);
  }
  if ('impossible' in possible) throw impossible(subvolume.name, request.kind, possible);
  // Planned all the same: what stands in the way of the next backup is reported while there is still time to fix it.
  const judged = canBeDue(here);
  const plan = judged ? planIfDue(context, request.kind, judged, possible) : possible;
  if ('next' in plan) return plan;
  if (!request.dryRun) await probeOnce(context, subvolume.name);
  const planned = { context, run, subvolume: subvolume.name, plan, pointer, source };
  return prepare(planned, request.dryRun, (why) => {
    const instead = base && 'manifest' in base && withoutParent(request.kind, base, why);
    if (!instead) throw new Error('an increment builds on the last backup');
    if (outOfReach) throw withoutCopy(outOfReach, why);
    if ('impossible' in instead) throw impossible(subvolume.name, request.kind, instead);
    return instead;
  });
}

function impossible(
  subvolume: string,
  kind: BackupKind | 'auto',
  { impossible: why }: ImpossiblePlan,
): ToolError {
  const what = kind === 'auto' ? 'a backup' : 'an incremental backup';
  return new ToolError(`${what} of ${subvolume} is not possible: ${why}`, {
    ...(kind !== 'auto' && { hint: 'use KIND=full or KIND=auto' }),
  });
}
