/** With IF_DUE: whether the bucket's own backups make another one due. Nothing local is asked, and nothing is written. */

import { ToolError } from '../../core/errors.ts';
import {
  type BackupKind,
  parseTimestamp,
  readableTime,
  readableTimestamp,
  SubvolumeKeys,
} from '../../core/format/names.ts';
import type { BackupPlan, PublishedBackup } from '../../core/plan/backup/backup-plan.ts';
import { type DueVerdict, judgeDue } from '../../core/plan/backup/due.ts';
import type { StageContext } from '../context.ts';

/** No backup is due, and nothing was done. */
export interface NothingDue {
  readonly next: { readonly kind: BackupKind; readonly due_at: string };
  /** One clause: what the last backup is, or why the next one will be full. */
  readonly reason: string;
}

/**
 * Judges by the last backup of a subvolume, and by the full one that it builds on, whether the planned backup is due.
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

/** True where `planIfDue` will plan a full backup whatever an increment could build on. */
export function isFullDue(context: StageContext, asked: BackupKind | 'auto', last: PublishedBackup): boolean {
  return verdictOf(context, asked, last).due === 'full';
}

/**
 * Reports a backup that is due where there is no new snapshot: the other program may have stopped making them. A warning at first, as
 * it may be late.
 * @throws ToolError when the last one is older than two periods of INCREMENTAL_EVERY: a warning every night is overlooked.
 */
export function tellIfOverdue(
  context: StageContext,
  asked: BackupKind | 'auto',
  last: PublishedBackup,
): void {
  const { due } = judge(context, asked, last);
  if (due === 'nothing') return;
  const { subvolume, created_at } = last.manifest;
  const ageMs = context.now().getTime() - millisecondsOf(created_at);
  if (ageMs < 2000 * context.settings.INCREMENTAL_EVERY) {
    context.log.warn(
      `${subvolume}: the next ${due} backup is due, but there is no snapshot newer than the last one: check that they are still made`,
    );
    return;
  }
  throw new ToolError(
    `the next ${due} backup of ${subvolume} is due, but the newest snapshot is that of the last one, of ${readableTimestamp(created_at)}`,
    {
      hint: 'check that snapshots are still made, and that SUBVOLUMES names them; if there will be no more, remove the entry from SUBVOLUMES: the backups stay',
    },
  );
}

function judge(
  context: StageContext,
  asked: BackupKind | 'auto',
  last: PublishedBackup,
): Exclude<DueVerdict, { due: 'unknown' }> {
  const verdict = verdictOf(context, asked, last);
  const { created_at, subvolume } = last.manifest;
  if (verdict.due === 'unknown') throw clockBehind(context, subvolume, created_at);
  return verdict;
}

function verdictOf(context: StageContext, asked: BackupKind | 'auto', last: PublishedBackup): DueVerdict {
  const { created_at } = last.manifest;
  const { FULL_EVERY, INCREMENTAL_EVERY } = context.settings;
  const times = {
    newestMs: millisecondsOf(created_at),
    fullMs: 'full' in last.chain ? millisecondsOf(last.chain.full.created_at) : undefined,
  };
  const cadence = { fullEverySeconds: FULL_EVERY, incrementalEverySeconds: INCREMENTAL_EVERY };
  return judgeDue(asked, times, cadence, context.now().getTime());
}

const reasonsForFull = {
  age: 'a full backup is due by FULL_EVERY',
  'broken chain': 'the last backup cannot be restored',
  'full dated in the future': 'the last full backup is dated in the future',
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
