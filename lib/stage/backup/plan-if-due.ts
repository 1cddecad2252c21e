/** With IF_DUE: whether the bucket's own backups make another one due. Nothing local is asked, and nothing is written. */

import { ToolError } from '../../core/errors.ts';
import {
  type BackupKind,
  parseTimestamp,
  readableTime,
  readableTimestamp,
  SubvolumeKeys,
} from '../../core/format/names.ts';
import type { BackupPlan, PublishedBackup } from '../../core/plan/backup-plan.ts';
import { type DueVerdict, judgeDue } from '../../core/plan/due.ts';
import type { StageContext } from '../context.ts';

/** No backup is due, and nothing was done. */
export interface NothingDue {
  readonly next: { readonly kind: BackupKind; readonly due_at: string };
  /** One clause: what the last backup is, or why the next one will be full. */
  readonly reason: string;
}

/**
 * Judges a subvolume by its last backup and the full one that this builds on, and makes of the plan for its next backup what
 * is due.
 * @throws ToolError when the clock is behind the last backup.
 */
export function planIfDue(
  context: StageContext,
  asked: BackupKind | 'auto',
  last: PublishedBackup,
  plan: BackupPlan,
): BackupPlan | NothingDue {
  const { created_at, kind } = last.manifest;
  const verdict = judge(context, asked, last);
  switch (verdict.due) {
    case 'full':
      return { kind: 'full', parent: undefined, reason: reasonsForFull[verdict.because] };
    case 'incremental':
      return plan;
    case 'nothing': {
      const due_at = readableTime(new Date(verdict.next.atMs));
      // An incremental one that is due will be full where it cannot be incremental.
      if (verdict.next.kind === 'incremental') {
        if (plan.kind === 'full') return { next: { kind: 'full', due_at }, reason: plan.reason };
      }
      const reason = `the last backup is the ${kind} of ${readableTimestamp(created_at)}`;
      return { next: { kind: verdict.next.kind, due_at }, reason };
    }
  }
}

/** Warns where a backup is due and there is nothing to make it of: somebody else's snapshots are no longer made. */
export function warnIfOverdue(
  context: StageContext,
  asked: BackupKind | 'auto',
  last: PublishedBackup,
): void {
  const { due } = judge(context, asked, last);
  if (due === 'nothing') return;
  context.log.warn(
    `${last.manifest.subvolume}: the next ${due} backup is due, but there is no snapshot newer than the last one: see that they are still made`,
  );
}

function judge(
  context: StageContext,
  asked: BackupKind | 'auto',
  last: PublishedBackup,
): Exclude<DueVerdict, { due: 'unknown' }> {
  const { created_at, subvolume } = last.manifest;
  const { FULL_EVERY, INCREMENTAL_EVERY } = context.settings;
  const times = {
    newestMs: millisecondsOf(created_at),
    fullMs: 'full' in last.chain ? millisecondsOf(last.chain.full.created_at) : undefined,
  };
  const cadence = { fullEverySeconds: FULL_EVERY, incrementalEverySeconds: INCREMENTAL_EVERY };
  const verdict = judgeDue(asked, times, cadence, context.now().getTime());
  if (verdict.due === 'unknown') throw clockBehind(context, subvolume, created_at);
  return verdict;
}

const reasonsForFull = {
  age: 'a full backup is due by FULL_EVERY',
  'broken chain': 'the last backup cannot be restored',
  'full of the future': 'the last full backup is dated in the future by this clock',
} as const;

/** The error for a clock that is behind the last backup: a backup made now would count as older than that one. */
export function clockBehind({ bucket, now }: StageContext, subvolume: string, last: string): ToolError {
  const pointer = new SubvolumeKeys(bucket.prefix, subvolume).current;
  return new ToolError(
    `the clock says ${now().toISOString()}, but the last backup of ${subvolume} is of ${readableTimestamp(last)}`,
    {
      hint: `set the clock (timedatectl set-ntp true) and run again; if it is right, move ${pointer} away, and the next backup is a full one`,
    },
  );
}

/** Of a timestamp that a schema has found to be one. */
function millisecondsOf(timestamp: string): number {
  const moment = parseTimestamp(timestamp);
  if (!moment) throw new RangeError(`no timestamp: ${timestamp}`);
  return moment.getTime();
}
