/** The first stage: decide what to send, take the read-only snapshot, and leave snapshot.json for the upload. */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BackupPlan, type LastBackup, planBackup } from '../core/backup-plan.ts';
import type { SubvolumeInfo } from '../core/btrfs-output.ts';
import { describeError, ToolError } from '../core/errors.ts';
import {
  type BackupKind,
  formatTimestamp,
  parseTimestamp,
  SubvolumeKeys,
  snapshotName,
} from '../core/names.ts';
import type { SnapshotFile } from '../core/run-files.ts';
import type { SelectedSubvolume } from '../core/settings/rules.ts';
import {
  deleteSubvolume,
  type FoundSubvolume,
  filesystemOf,
  findSubvolumes,
  listNestedSubvolumes,
  readMtime,
  showSubvolume,
  takeSnapshot,
} from '../edge/btrfs.ts';
import { pathExists } from '../edge/files.ts';
import { RunDirectory } from '../edge/run-directory.ts';
import { findPointer, readManifest } from './backups.ts';
import type { StageContext } from './context.ts';
import { clockBehind, type NothingDue, planIfDue } from './due.ts';
import { giveUpRun } from './give-up-run.ts';
import { giveUpStrays } from './give-up-uploads.ts';

type FoundPointer = Awaited<ReturnType<typeof findPointer>>;

/** What is asked for. */
export interface SnapshotRequest {
  readonly kind: BackupKind | 'auto';
  /** Begin a backup only when one is due. An unfinished one is gone on with all the same, of whatever kind it is. */
  readonly ifDue: boolean;
  /** Plan and say so, but change nothing. */
  readonly dryRun: boolean;
}

/** What was decided, in one line for the user, and the snapshot unless it was a dry run. */
export interface PreparedBackup {
  readonly kind: BackupKind;
  readonly reason: string;
  readonly snapshotPath: string | undefined;
}

/**
 * Prepares one subvolume's backup. An unfinished run whose snapshot is still there is gone on with.
 * @throws ToolError when the subvolume, SNAPSHOT_DIR or the bucket cannot be used; no snapshot is left then.
 */
export async function prepareSnapshot(
  context: StageContext,
  subvolume: SelectedSubvolume,
  request: SnapshotRequest,
): Promise<PreparedBackup | NothingDue> {
  const { source, directory } = await checkSource(context, subvolume);
  const run = new RunDirectory(context.settings.RUN_DIR, subvolume.name);
  const pointer = await findPointer(context.bucket, subvolume.name);
  const here = await findSubvolumes(directory);

  const unfinished = await run.readSnapshot();
  if (unfinished) {
    const obstacle = obstacleToGoingOn(
      unfinished,
      request.ifDue ? 'auto' : request.kind,
      { source, here, pointer },
      context.bucket.prefix,
    );
    if (!obstacle) {
      const { path, name } = unfinished.snapshot;
      if (!request.dryRun && !(await pathExists(run.journalPath)))
        await giveUpStrays(context, run, unfinished);
      return { kind: unfinished.kind, reason: `going on with unfinished ${name}`, snapshotPath: path };
    }
    context.log.warn(`${subvolume.name}: an unfinished backup is given up: ${obstacle}`);
    if (!request.dryRun) {
      await giveUpStrays(context, run, unfinished);
      await giveUpRun(context, run, unfinished);
    }
  }

  const isLastNeeded = request.kind !== 'full' || request.ifDue;
  const last = isLastNeeded ? await findLastBackup(context, subvolume.name, pointer) : undefined;
  const possible = planBackup(request.kind, { ...source, hostName: context.hostName }, last, here);
  if ('impossible' in possible) {
    const what = request.kind === 'auto' ? 'a backup' : 'an incremental backup';
    throw new ToolError(`${what} of ${subvolume.name} is not possible: ${possible.impossible}`, {
      ...(request.kind !== 'auto' && { hint: 'use KIND=full or KIND=auto' }),
    });
  }
  // Planned all the same: what stands in the way of the next backup is told when there is still time to mend it.
  const plan =
    request.ifDue && last && !('unreadable' in last)
      ? await planIfDue(context, request.kind, last, possible)
      : possible;
  if ('next' in plan) return plan;
  if (request.dryRun) return { kind: plan.kind, reason: plan.reason, snapshotPath: undefined };
  const snapshotPath = await takeAndRecord(context, subvolume, directory, run, plan, pointer);
  return { kind: plan.kind, reason: plan.reason, snapshotPath };
}

/** The backup that the pointer names. Damage must not keep a host from its next backup: then it is a full one. */
async function findLastBackup(
  { bucket, log }: StageContext,
  subvolume: string,
  pointer: FoundPointer,
): Promise<LastBackup> {
  if (!pointer) return undefined;
  try {
    if ('damage' in pointer) throw pointer.damage;
    const manifestKey = pointer.pointer.manifest_key;
    return { manifestKey, manifest: await readManifest(bucket, manifestKey) };
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    log.warn(`${subvolume}: the last backup cannot be built on: ${describeError(error)}`);
    return { unreadable: 'the last backup in the bucket is damaged or missing' };
  }
}

/** Checks that the subvolume can be snapshotted into SNAPSHOT_DIR, and warns of what will not be sent. */
async function checkSource(
  context: StageContext,
  { name, path }: SelectedSubvolume,
): Promise<{ readonly source: SubvolumeInfo; readonly directory: string }> {
  const directory = context.settings.SNAPSHOT_DIR;
  if (!directory) throw new ToolError('SNAPSHOT_DIR is not set', { kind: 'usage' });
  const info = await showSubvolume(path);
  if (!(await pathExists(directory))) {
    throw new ToolError(`SNAPSHOT_DIR ${directory} does not exist`, {
      hint: `make it with: mkdir -p -m 0700 ${directory}`,
    });
  }
  const [source, target] = await Promise.all([filesystemOf(path), filesystemOf(directory)]);
  if (target.type !== 'btrfs' || target.source !== source.source) {
    throw new ToolError(
      `SNAPSHOT_DIR ${directory} (${target.type} on ${target.source}) is not on the filesystem of ${path} (${source.source})`,
      { hint: 'a snapshot can only be taken within one Btrfs filesystem; choose a directory on it' },
    );
  }
  const nested = (await listNestedSubvolumes(path)).filter((inner) => !/__\w{16}__(full|inc)$/.test(inner));
  if (nested.length > 0) {
    context.log.warn(
      `${name}: nested subvolumes are not part of this backup: ${nested.join(', ')}; name them in SUBVOLUMES to back them up`,
    );
  }
  return { source: info, directory };
}

/** What an unfinished run is held against. */
interface Surroundings {
  readonly source: SubvolumeInfo;
  readonly here: readonly FoundSubvolume[];
  readonly pointer: FoundPointer;
}

/** Why an unfinished run cannot be gone on with, or undefined when it can. */
function obstacleToGoingOn(
  unfinished: SnapshotFile,
  requested: BackupKind | 'auto',
  { source, here, pointer }: Surroundings,
  prefix: string,
): string | undefined {
  const { snapshot, parent, subvolume, kind, created_at, pointer_etag } = unfinished;
  if (requested !== 'auto' && requested !== kind) return `it is ${kind}, but KIND=${requested} is asked for`;
  const taken = here.find((found) => found.uuid === snapshot.uuid && found.path === snapshot.path);
  if (!taken) return `its snapshot ${snapshot.name} is gone`;
  if (taken.parentUuid !== source.uuid) return 'its snapshot is of another subvolume';
  if (parent && !here.some((found) => found.uuid === parent.uuid && found.path === parent.path)) {
    return 'its parent snapshot is gone';
  }
  const ours = new SubvolumeKeys(prefix, subvolume).manifest(kind, created_at);
  const published = pointer && 'pointer' in pointer && pointer.pointer.manifest_key === ours;
  if (!published && (pointer?.etag ?? null) !== pointer_etag) return 'another backup was published meanwhile';
  return undefined;
}

async function takeAndRecord(
  context: StageContext,
  subvolume: SelectedSubvolume,
  directory: string,
  run: RunDirectory,
  plan: BackupPlan,
  pointer: FoundPointer,
): Promise<string> {
  await run.create();
  const timestamp = await freshTimestamp(
    context,
    subvolume.name,
    pointer && 'pointer' in pointer ? pointer.pointer.created_at : undefined,
  );
  const name = snapshotName(subvolume.name, timestamp, plan.kind);
  const path = join(directory, name);
  await takeSnapshot(subvolume.path, path, 'read-only');
  try {
    const info = await showSubvolume(path);
    await run.writeSnapshot({
      subvolume: subvolume.name,
      kind: plan.kind,
      created_at: timestamp,
      snapshot: {
        name,
        path,
        uuid: info.uuid,
        parent_uuid: plan.parent?.uuid ?? null,
        received_uuid: info.receivedUuid ?? null,
        generation: info.generation,
        mtime: await readMtime(path),
      },
      parent: plan.parent
        ? {
            path: plan.parent.path,
            uuid: plan.parent.uuid,
            generation: plan.parent.generation,
            manifest_key: plan.parent.manifestKey,
          }
        : null,
      pointer_etag: pointer?.etag ?? null,
      started_at: context.now().toISOString(),
    });
  } catch (error) {
    await deleteSubvolume(path);
    throw error;
  }
  return path;
}

/**
 * The time of this backup, later than the last one's, because keys and AT= order backups by it.
 * @throws ToolError when the clock is behind the last backup.
 */
async function freshTimestamp(
  context: StageContext,
  subvolume: string,
  last: string | undefined,
): Promise<string> {
  const lastMs = last === undefined ? 0 : (parseTimestamp(last)?.getTime() ?? 0);
  const behindMs = lastMs + 1000 - context.now().getTime();
  if (last !== undefined && behindMs > 2000) throw clockBehind(context, subvolume, last);
  if (behindMs > 0) await sleep(behindMs, undefined, { signal: context.signal });
  return formatTimestamp(context.now());
}
