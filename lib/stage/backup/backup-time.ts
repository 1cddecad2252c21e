/** The time of a backup, by which its keys and AT= go: later than the last one's, and never that of another. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BackupKind, formatTimestamp, parseTimestamp, SubvolumeKeys } from '../../core/format/names.ts';
import { type AdoptableSnapshot, earliestBackupTime } from '../../core/plan/backup/adopted-snapshots.ts';
import { newestNotLater } from '../../core/plan/chain.ts';
import { headObject } from '../../edge/s3/objects.ts';
import { type FoundPointer, listManifests } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';
import { clockBehind } from './plan-if-due.ts';

/** How far the clock may be behind the last backup: two within a second. */
const waitForMs = 2000;

/** Waits until the second of a timestamp is over, if it is the present one. */
export async function passSecondOf({ now, signal }: StageContext, timestamp: string): Promise<void> {
  const leftMs = (parseTimestamp(timestamp)?.getTime() ?? 0) + 1000 - now().getTime();
  if (leftMs > 0 && leftMs <= 1000) await sleep(leftMs, undefined, { signal });
}

/**
 * The time of a backup whose snapshot is taken now.
 * @throws ToolError when the clock is behind the last backup.
 */
export async function freshTimestamp(
  context: StageContext,
  subvolume: string,
  pointer: FoundPointer,
): Promise<string> {
  const last = pointer && 'pointer' in pointer ? parseTimestamp(pointer.pointer.created_at) : undefined;
  checkClock(context, subvolume, last);
  const behindMs = (last?.getTime() ?? 0) + 1000 - context.now().getTime();
  if (behindMs > 0) await sleep(behindMs, undefined, { signal: context.signal });
  return formatTimestamp(context.now());
}

/**
 * The time of a backup whose snapshot is there already: that of the snapshot, or the next second in which nothing of this
 * subvolume lies in the bucket. A backup of the same snapshot that was given up, or whose run files are lost, has left chunks there.
 * @throws ToolError when the clock is behind the last backup.
 */
export async function adoptedTimestamp(
  context: StageContext,
  subvolume: string,
  snapshot: AdoptableSnapshot,
  pointer: FoundPointer,
): Promise<string> {
  const last = await lastBackupTime(context, subvolume, pointer);
  checkClock(context, subvolume, last);
  const time = earliestBackupTime(snapshot, last);
  while (await isTaken(context, subvolume, formatTimestamp(time))) time.setTime(time.getTime() + 1000);
  return formatTimestamp(time);
}

async function lastBackupTime(
  { bucket, now }: StageContext,
  subvolume: string,
  pointer: FoundPointer,
): Promise<Date | undefined> {
  if (pointer && 'pointer' in pointer) return parseTimestamp(pointer.pointer.created_at);
  const manifests = await listManifests(bucket, subvolume);
  // A backup of a clock that was ahead is what the pointer may have been moved away for.
  const newest = pointer ? manifests.at(-1) : newestNotLater(manifests, now());
  return parseTimestamp(newest?.timestamp ?? '');
}

async function isTaken({ bucket }: StageContext, subvolume: string, timestamp: string): Promise<boolean> {
  const keys = new SubvolumeKeys(bucket.prefix, subvolume);
  for (const kind of ['full', 'incremental'] as const satisfies readonly BackupKind[]) {
    if (await headObject(bucket, keys.manifest(kind, timestamp))) return true;
    if (await headObject(bucket, keys.chunk(kind, timestamp, 0))) return true;
  }
  return false;
}

/** @throws ToolError when the clock is behind the last backup. */
export function checkClock(context: StageContext, subvolume: string, last: Date | undefined): void {
  if (!last || last.getTime() + 1000 - context.now().getTime() <= waitForMs) return;
  throw clockBehind(context, subvolume, formatTimestamp(last));
}
