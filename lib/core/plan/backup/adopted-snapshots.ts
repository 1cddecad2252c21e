/** Snapshots that another program takes, such as snapper or btrbk: which one is sent next, and under which time. */

import { type Manifest, streamUuid } from '../../format/manifest.ts';
import { parseTimestamp, readableTime } from '../../format/names.ts';
import type { LastBackup, LocalSnapshot } from './backup-plan.ts';

/** A snapshot that can be adopted. */
export interface AdoptableSnapshot extends LocalSnapshot {
  /** Which the filesystem counts up and never uses twice. */
  readonly id: number;
  /** To the second; undefined counts as older than all others. */
  readonly createdAt: Date | undefined;
}

/** The read-only snapshot that was made last; of those of one second the one with the highest ID. Names play no part. */
export function newestSnapshot<Snapshot extends AdoptableSnapshot>(
  snapshots: readonly Snapshot[],
): Snapshot | undefined {
  return snapshots
    .filter(({ readOnly }) => readOnly)
    .sort((a, b) => msOf(a) - msOf(b) || a.id - b.id)
    .at(-1);
}

/**
 * Why there is nothing to send, or undefined when there is: the newest snapshot is published already, or what was published is
 * newer and its snapshot is gone.
 */
export function nothingNew(
  newest: AdoptableSnapshot,
  snapshots: readonly LocalSnapshot[],
  last: LastBackup,
): string | undefined {
  if (!last || 'unreadable' in last) return undefined;
  const { snapshot, created_at } = last.manifest;
  const which = `the newest snapshot ${newest.path} of ${readableTime(new Date(msOf(newest)))}`;
  if (snapshot.uuid === newest.uuid || isCopyOf(newest, last.manifest))
    return `${which} is the last backup already`;
  // It came before the newest, whatever the time under which it was published.
  if (snapshots.some(({ uuid, readOnly }) => readOnly && uuid === snapshot.uuid)) return undefined;
  const lastAt = parseTimestamp(created_at);
  if (!lastAt || msOf(newest) >= lastAt.getTime()) return undefined;
  return `${which} is older than the last backup, of ${readableTime(lastAt)}`;
}

/** The earliest time under which a snapshot can be published: its own, but later than the last backup's, because AT= goes by it. */
export function earliestBackupTime(snapshot: AdoptableSnapshot, last: Date | undefined): Date {
  return new Date(Math.max(msOf(snapshot), last ? last.getTime() + 1000 : 0));
}

/** What was received of the backup's own stream. */
function isCopyOf({ receivedUuid, sentTransid }: LocalSnapshot, { snapshot }: Manifest): boolean {
  return (
    receivedUuid !== undefined &&
    receivedUuid === streamUuid(snapshot) &&
    sentTransid !== undefined &&
    sentTransid === snapshot.transid
  );
}

function msOf({ createdAt }: AdoptableSnapshot): number {
  return createdAt?.getTime() ?? 0;
}
