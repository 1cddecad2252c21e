/** The last steps of planning: an increment that is not proven is held against all inodes, and the snapshot is taken or adopted. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError } from '../../core/errors.ts';
import { MAX_NESTED } from '../../core/format/manifest.ts';
import { type BackupKind, snapshotName } from '../../core/format/names.ts';
import type { SnapshotFile } from '../../core/format/run-files.ts';
import type { BackupPlan } from '../../core/plan/backup/backup-plan.ts';
import {
  deleteSubvolume,
  type FoundSubvolume,
  makeReadOnly,
  readMtime,
  showSubvolume,
  subvolumeAt,
  takeSnapshot,
} from '../../edge/btrfs/btrfs.ts';
import { whyNotIncremental } from '../../edge/btrfs/compare-inodes.ts';
import { throughOneMount } from '../../edge/btrfs/mounts/one-mount.ts';
import { pathExists } from '../../edge/files/files.ts';
import type { RunDirectory } from '../../edge/files/run-directory.ts';
import type { FoundPointer } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';
import { adoptedTimestamp, freshTimestamp } from './backup-time.ts';
import { estimateSnapshotName } from './estimate-snapshot.ts';
import { rememberTaken } from './local/own-snapshots.ts';
import type { SnapshotSource, SnapshotToTake } from './snapshot-source.ts';

/** What was decided, in one line for the user. */
export interface PreparedBackup {
  /** `none`: there is nothing to do. */
  readonly kind: BackupKind | 'none';
  readonly reason: string;
  /** The snapshot to send; undefined when there is none, and in a dry run that would take one. */
  readonly snapshotPath: string | undefined;
  /** What the stream is made from, for an estimate; undefined where nothing is sent. */
  readonly origin?: BackupOrigin | undefined;
}

/** Of what a stream is made. */
export interface BackupOrigin {
  /** The snapshot, or the subvolume that one would be taken of. */
  readonly path: string;
  /** Where a snapshot of it would be taken; undefined for what is a snapshot. */
  readonly toTake: SnapshotToTake | undefined;
  readonly parent: { readonly path: string; readonly generation: number } | undefined;
}

/** A backup that has been planned. */
export interface PlannedBackup {
  readonly context: StageContext;
  readonly run: RunDirectory;
  readonly subvolume: string;
  readonly plan: BackupPlan;
  readonly pointer: FoundPointer;
  readonly source: SnapshotSource;
}

/** What is planned instead when the inodes have shown that an increment would not be right. */
export type PlanOtherwise = (why: string) => BackupPlan;

/**
 * Takes the snapshot of a planned backup, or adopts it, and leaves snapshot.json; a dry run leaves nothing.
 * @throws ToolError; no snapshot is left then.
 */
export async function prepare(
  planned: PlannedBackup,
  dryRun: boolean,
  otherwise: PlanOtherwise,
): Promise<PreparedBackup> {
  const { next } = planned.source;
  if (planned.plan.parent) {
    const snapshotPath = 'adopt' in next ? next.adopt.path : next.into;
    await throughOneMount({ snapshotPath, parentPath: planned.plan.parent.path });
  }
  if ('adopt' in next) {
    const { path } = next.adopt;
    const plan = await confirmed(planned, path, otherwise);
    if (!dryRun) await adopt({ ...planned, plan }, next.adopt);
    const origin = { path, toTake: undefined, parent: plan.parent };
    return { kind: plan.kind, reason: plan.reason, snapshotPath: path, origin };
  }
  if (!dryRun) return take(planned, next, otherwise);
  const { kind, reason, parent } = planned.plan;
  const ifSo = parent && !parent.isProven ? ', if a look at all inodes allows it' : '';
  const origin = { path: next.takeOf, toTake: next, parent };
  return { kind, reason: `${reason}${ifSo}`, snapshotPath: undefined, origin };
}

/** The plan, or another one where its increment is not proven to be right and a look at all inodes says that it is not. */
async function confirmed(
  { context, plan, subvolume }: PlannedBackup,
  snapshotPath: string,
  otherwise: PlanOtherwise,
): Promise<BackupPlan> {
  if (!plan.parent || plan.parent.isProven) return plan;
  const { path } = plan.parent;
  context.log.info(
    `${subvolume}: comparing the inodes of ${path} and ${snapshotPath}, because the snapshots between them are gone, were written to or have no UUID`,
  );
  const why = await whyNotIncremental(path, snapshotPath, context.signal);
  return why === undefined ? plan : otherwise(why);
}

/** Takes the snapshot; it is deleted again where it cannot be recorded, or has to be of another kind. */
async function take(
  planned: PlannedBackup,
  next: SnapshotToTake,
  otherwise: PlanOtherwise,
): Promise<PreparedBackup> {
  const { context, run, subvolume, plan, pointer } = planned;
  const fresh = async () => {
    const timestamp = await freshTimestamp(context, subvolume, pointer);
    const name = snapshotName(subvolume, timestamp, plan.kind);
    return { timestamp, name, path: join(next.into, name) };
  };
  await run.create();
  await removeEstimate(context, subvolume, next.into);
  let { timestamp, name, path } = await fresh();
  // One that was taken for another bucket or prefix in this second.
  while (await pathExists(path)) {
    await sleep(1000, undefined, { signal: context.signal });
    ({ timestamp, name, path } = await fresh());
  }
  await takeSnapshot(next.takeOf, path, next.isReceived ? 'writable' : 'read-only');
  let instead: BackupPlan;
  try {
    // A read-only snapshot would inherit the received UUID, and so would all the others: btrfs receive could not tell them apart.
    if (next.isReceived) await makeReadOnly(path);
    const snapshot = { ...(await showSubvolume(path)), name, path };
    await rememberTaken(context, run, snapshot.uuid, planned.source.filesystem.subvolumes);
    instead = await confirmed(planned, path, otherwise);
    if (instead === plan) await record(planned, snapshot, timestamp);
  } catch (error) {
    await deleteSubvolume(path);
    throw error;
  }
  if (instead === plan) {
    const origin = { path, toTake: undefined, parent: plan.parent };
    return { kind: plan.kind, reason: plan.reason, snapshotPath: path, origin };
  }
  // Its name says of which kind it is.
  await deleteSubvolume(path);
  return take({ ...planned, plan: instead }, next, otherwise);
}

/** Removes the snapshot of an estimate that was killed: people may never ask for another one, and it fills the disk. */
async function removeEstimate(
  { log, settings }: StageContext,
  subvolume: string,
  directory: string,
): Promise<void> {
  const name = estimateSnapshotName(subvolume, settings);
  const left = await subvolumeAt(join(directory, name), name);
  if (!left) return;
  await deleteSubvolume(left.path).then(
    () => log.info(`removed ${left.path}, which an estimate that was killed had left`),
    (error: unknown) => log.warn(`${left.path}, which an estimate had left, stays: ${describeError(error)}`),
  );
}

/** Records another program's snapshot as the one to send. */
async function adopt(planned: PlannedBackup, snapshot: FoundSubvolume): Promise<void> {
  const { context, run, subvolume, pointer } = planned;
  await run.create();
  const timestamp = await adoptedTimestamp(context, subvolume, snapshot, pointer);
  await record(planned, snapshot, timestamp, { adopted: true });
}

async function record(
  { context, run, subvolume, plan: { kind, parent }, pointer, source }: PlannedBackup,
  snapshot: FoundSubvolume,
  timestamp: string,
  mark?: Pick<SnapshotFile, 'adopted'>,
): Promise<void> {
  await run.writeSnapshot({
    subvolume,
    kind,
    created_at: timestamp,
    ...mark,
    snapshot: {
      name: snapshot.name,
      path: snapshot.path,
      uuid: snapshot.uuid,
      // A stream knows a copy by the UUID of what it is a copy of.
      parent_uuid: (parent?.continued ? parent.state.uuid : parent?.uuid) ?? null,
      received_uuid: snapshot.receivedUuid ?? null,
      generation: snapshot.generation,
      source_uuid: source.subvolume.uuid,
      nested: source.nested.slice(0, MAX_NESTED),
      mtime: await readMtime(snapshot.path),
    },
    parent: parent
      ? {
          path: parent.path,
          uuid: parent.uuid,
          generation: parent.generation,
          manifest_key: parent.manifestKey,
          stream_uuid: parent.state.uuid,
          transid: parent.state.transid,
          ...(parent.continued && { continued: true as const }),
        }
      : null,
    filesystem_uuid: source.filesystemUuid,
    pointer_etag: pointer?.etag ?? null,
    started_at: context.now().toISOString(),
  });
}
