/** The first stage: decide what to send, take the read-only snapshot or adopt one, and leave snapshot.json for the upload. */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, ToolError } from '../../core/errors.ts';
import { MAX_NESTED } from '../../core/format/manifest.ts';
import { type BackupKind, parseTimestamp, snapshotName } from '../../core/format/names.ts';
import type { SnapshotFile } from '../../core/format/run-files.ts';
import { nothingNew } from '../../core/plan/adopted-snapshots.ts';
import { type BackupPlan, planBackup, snapshotOf } from '../../core/plan/backup-plan.ts';
import type { SelectedSubvolume } from '../../core/settings/rules.ts';
import { chooseLayout } from '../../core/stream/part-sizes.ts';
import type { StreamHead } from '../../core/stream/stream-head.ts';
import {
  deleteSubvolume,
  type FoundSubvolume,
  makeReadOnly,
  readMtime,
  showSubvolume,
  takeSnapshot,
} from '../../edge/btrfs/btrfs.ts';
import { readStreamHead } from '../../edge/btrfs/read-stream-head.ts';
import { pathExists } from '../../edge/files/files.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { refuseOversizedParts } from '../../transfer/memory/transfer-memory.ts';
import { type FoundPointer, findPointer } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';
import { requestingThaws } from '../restore/thaw-documents.ts';
import { adoptedTimestamp, checkClock, freshTimestamp } from './backup-time.ts';
import { giveUpRun } from './give-up-run.ts';
import { giveUpStrays } from './give-up-uploads.ts';
import {
  findLastBackup,
  isRemembered,
  lookAtBackup,
  refuseMovedPrefix,
  refuseStranger,
} from './last-backup.ts';
import { type NothingDue, planIfDue, warnIfOverdue } from './plan-if-due.ts';
import { openSource, type SnapshotSource, type SnapshotToTake } from './snapshot-source.ts';
import { findUnfinished } from './unfinished.ts';

/** What is asked for. */
export interface SnapshotRequest {
  readonly kind: BackupKind | 'auto';
  /** Begin a backup only when one is due. An unfinished one is gone on with all the same, of whatever kind it is. */
  readonly ifDue: boolean;
  /** Plan and say so, but change nothing. */
  readonly dryRun: boolean;
}

/** What was decided, in one line for the user. */
export interface PreparedBackup {
  /** `none`: there is nothing to do. */
  readonly kind: BackupKind | 'none';
  readonly reason: string;
  /** The snapshot to send; undefined when there is none, and in a dry run that would take one. */
  readonly snapshotPath: string | undefined;
}

/**
 * Prepares one subvolume's backup. An unfinished run whose snapshot is still there is gone on with. Where the last backup cannot be
 * read because it is archived, its thaw is requested.
 * @throws ToolError when the subvolume, SNAPSHOT_DIR or the bucket cannot be used; no snapshot is left then.
 */
export function prepareSnapshot(
  context: StageContext,
  subvolume: SelectedSubvolume,
  request: SnapshotRequest,
): Promise<PreparedBackup | NothingDue> {
  return requestingThaws(context, subvolume.name, request.dryRun, () => prepare(context, subvolume, request));
}

async function prepare(
  context: StageContext,
  subvolume: SelectedSubvolume,
  request: SnapshotRequest,
): Promise<PreparedBackup | NothingDue> {
  const { CHUNK_SIZE, PART_SIZE } = context.settings;
  refuseOversizedParts(chooseLayout(CHUNK_SIZE, PART_SIZE).partSizeBytes);
  let source = await openSource(context, subvolume);
  const run = new RunDirectory(context.settings.RUN_DIR, subvolume.name);
  const pointer = await findPointer(context.bucket, subvolume.name);
  const unfinished = await findUnfinished(context, run, pointer, request.dryRun);
  const published = await run.readPublished();
  const isLastNeeded = request.kind !== 'full' || request.ifDue;
  if (isLastNeeded) refuseMovedPrefix(context, subvolume.name, pointer, published);

  if (unfinished) {
    const { file } = unfinished;
    const asked = request.ifDue ? 'auto' : request.kind;
    const obstacle =
      unfinished.obstacle ??
      obstacleToGoingOn(file, asked, source, pointer) ??
      (await obstacleInParent(context, file));
    if (!obstacle) {
      const { path } = file.snapshot;
      if (!request.dryRun && !(await pathExists(run.journalPath))) await giveUpStrays(context, run, file);
      const reason = `going on with unfinished ${nameForPeople(file)}`;
      return { kind: file.kind, reason, snapshotPath: path };
    }
    context.log.warn(`${subvolume.name}: an unfinished backup is given up: ${obstacle}`);
    if (!request.dryRun) {
      await giveUpStrays(context, run, file);
      await giveUpRun(context, run, file);
      // Its snapshot may have been one of those that were found.
      source = await openSource(context, subvolume);
    }
  }

  const last = isLastNeeded ? await findLastBackup(context, subvolume.name, pointer) : undefined;
  const { next, here } = source;
  if (last && 'manifest' in last) refuseStranger(context, last, here, source.filesystemUuid, published);
  if ('adopt' in next && isLastNeeded && !(last && 'chain' in last && 'problem' in last.chain)) {
    // With a clock that is behind, or was ahead, nothing would be newer for a long time.
    if (last && 'manifest' in last)
      checkClock(context, subvolume.name, parseTimestamp(last.manifest.created_at));
    const reason = nothingNew(next.adopt, here, last);
    if (reason !== undefined) {
      if (request.ifDue && last && 'manifest' in last) warnIfOverdue(context, request.kind, last);
      return { kind: 'none', reason, snapshotPath: undefined };
    }
  }
  const candidate = snapshotOf(last, here);
  const state = candidate?.readOnly ? await stateOf(context, candidate.path) : undefined;
  const possible = planBackup(request.kind, source.subvolume, last, here, state);
  if ('impossible' in possible) {
    const what = request.kind === 'auto' ? 'a backup' : 'an incremental backup';
    throw new ToolError(`${what} of ${subvolume.name} is not possible: ${possible.impossible}`, {
      ...(request.kind !== 'auto' && { hint: 'use KIND=full or KIND=auto' }),
    });
  }
  // Planned all the same: what stands in the way of the next backup is told when there is still time to mend it.
  const plan =
    // A host that nothing here ties to the last backup has none of its own: it is not due, it is missing.
    request.ifDue && last && !('unreadable' in last) && isRemembered(last, here, published)
      ? planIfDue(context, request.kind, last, possible)
      : possible;
  if ('next' in plan) return plan;
  const { kind, reason } = plan;
  if (request.dryRun) return { kind, reason, snapshotPath: 'adopt' in next ? next.adopt.path : undefined };
  await run.create();
  const planned = { context, run, subvolume: subvolume.name, plan, pointer, source };
  const snapshotPath = await ('adopt' in next ? adopt(planned, next.adopt) : take(planned, next));
  return { kind, reason, snapshotPath };
}

/** Why an unfinished run cannot be gone on with, or undefined when it can. */
function obstacleToGoingOn(
  unfinished: SnapshotFile,
  requested: BackupKind | 'auto',
  { subvolume: source, here, next }: SnapshotSource,
  pointer: FoundPointer,
): string | undefined {
  const { snapshot, parent, kind, pointer_etag, adopted } = unfinished;
  if (requested !== 'auto' && requested !== kind) return `it is ${kind}, but KIND=${requested} is asked for`;
  if ((adopted ?? false) !== 'adopt' in next)
    return 'SUBVOLUMES says otherwise now where snapshots come from';
  const found = here.find(({ uuid, path }) => uuid === snapshot.uuid && path === snapshot.path);
  if (!found) {
    const isReplaced = here.some(({ path }) => path === snapshot.path);
    return `its snapshot ${nameForPeople(unfinished)} ${isReplaced ? 'was replaced: another one has its path' : 'is gone'}`;
  }
  if (!found.readOnly) return `its snapshot ${snapshot.path} is no longer read-only`;
  if ((found.receivedUuid ?? null) !== snapshot.received_uuid) {
    return `its snapshot ${snapshot.path} has another received UUID than when it was planned`;
  }
  // An adopted one need not be of the subvolume that the newest is of: that may have been rolled back since.
  if (!adopted && found.parentUuid !== source.uuid) return 'its snapshot is of another subvolume';
  if (parent && !here.some(({ uuid, path }) => uuid === parent.uuid && path === parent.path)) {
    return 'its parent snapshot is gone';
  }
  if ((pointer?.etag ?? null) !== pointer_etag) return 'another backup was published meanwhile';
  return undefined;
}

/** Why an unfinished incremental backup would build on what cannot be restored, or undefined when it would not. */
async function obstacleInParent(
  context: StageContext,
  { parent }: SnapshotFile,
): Promise<string | undefined> {
  if (!parent) return undefined;
  const state = await stateOf(context, parent.path);
  if (!state) return 'the state of its parent snapshot cannot be read';
  if (parent.transid !== undefined && state.transid !== parent.transid) {
    return 'its parent snapshot was changed since it was planned';
  }
  const { problem } = await lookAtBackup(context, parent.manifest_key);
  return problem === undefined ? undefined : `the backup that it builds on cannot be restored: ${problem}`;
}

/** The state of a snapshot; undefined, after a warning, where btrfs send cannot tell it: then nothing can build on it. */
async function stateOf({ log }: StageContext, path: string): Promise<StreamHead | undefined> {
  return readStreamHead(path).catch((error: unknown) => {
    if (!(error instanceof ToolError)) throw error;
    log.warn(`the state of snapshot ${path} cannot be read: ${describeError(error)}`);
    return undefined;
  });
}

/** Snapshots of others may all have one name. */
function nameForPeople({ snapshot, adopted }: SnapshotFile): string {
  return adopted ? snapshot.path : snapshot.name;
}

/** A backup that has been planned. */
interface PlannedBackup {
  readonly context: StageContext;
  readonly run: RunDirectory;
  readonly subvolume: string;
  readonly plan: BackupPlan;
  readonly pointer: FoundPointer;
  readonly source: SnapshotSource;
}

/** Takes the snapshot; it is deleted again where it cannot be recorded. */
async function take(planned: PlannedBackup, { takeOf, into, isReceived }: SnapshotToTake): Promise<string> {
  const { context, subvolume, plan, pointer } = planned;
  const fresh = async () => {
    const timestamp = await freshTimestamp(context, subvolume, pointer);
    const name = snapshotName(subvolume, timestamp, plan.kind);
    return { timestamp, name, path: join(into, name) };
  };
  let { timestamp, name, path } = await fresh();
  // One that was taken for another bucket or prefix in this second.
  while (await pathExists(path)) {
    await sleep(1000, undefined, { signal: context.signal });
    ({ timestamp, name, path } = await fresh());
  }
  await takeSnapshot(takeOf, path, isReceived ? 'writable' : 'read-only');
  try {
    // A read-only snapshot would inherit the received UUID, and so would all the others: btrfs receive could not tell them apart.
    if (isReceived) await makeReadOnly(path);
    await record(planned, { ...(await showSubvolume(path)), name, path }, timestamp);
  } catch (error) {
    await deleteSubvolume(path);
    throw error;
  }
  return path;
}

/** Records somebody else's snapshot as the one to send. */
async function adopt(planned: PlannedBackup, snapshot: FoundSubvolume): Promise<string> {
  const { context, subvolume, pointer } = planned;
  const timestamp = await adoptedTimestamp(context, subvolume, snapshot, pointer);
  await record(planned, snapshot, timestamp, { adopted: true });
  return snapshot.path;
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
      parent_uuid: parent?.uuid ?? null,
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
        }
      : null,
    filesystem_uuid: source.filesystemUuid,
    pointer_etag: pointer?.etag ?? null,
    started_at: context.now().toISOString(),
  });
}
