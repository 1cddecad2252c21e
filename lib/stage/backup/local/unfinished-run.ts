/** A backup that was begun and not published: whether it can resume, and where its snapshots are by now. */
import { basename } from 'node:path';
import { ToolError } from '../../../core/errors.ts';
import type { BackupKind } from '../../../core/format/names.ts';
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { HOW_CHANGED } from '../../../core/plan/backup/changed-in-place.ts';
import type { FoundSubvolume } from '../../../edge/btrfs/btrfs.ts';
import type { RunDirectory } from '../../../edge/files/run-directory.ts';
import type { FoundPointer } from '../../bucket/backups.ts';
import type { StageContext } from '../../context.ts';
import { lookAtBackup } from '../last-backup.ts';
import type { SnapshotSource } from '../snapshot-source.ts';
import { findSnapshot } from './find-snapshot.ts';
import { relationTo } from './relation.ts';
import { stateOf } from './snapshot-state.ts';

/** What is asked for and what there is, while an unfinished backup is looked at. */
export interface Circumstances {
  readonly asked: BackupKind | 'auto';
  readonly source: SnapshotSource;
  readonly pointer: FoundPointer;
}

/**
 * Looks at an unfinished backup, and for its snapshots on the whole filesystem: their directory may have been moved.
 * @returns the backup, with the paths of its snapshots by now; or why it cannot resume.
 * @throws ToolError when a snapshot is where nothing is mounted: no reason to give up what may have been uploaded for weeks.
 */
export async function lookAtUnfinished(
  context: StageContext,
  run: RunDirectory,
  file: SnapshotFile,
  { asked, source, pointer }: Circumstances,
): Promise<{ readonly file: SnapshotFile } | { readonly obstacle: string }> {
  const find = (uuid: string) =>
    findSnapshot(source, {
      uuid,
      filesystemUuid: file.filesystem_uuid,
      otherwise: `or remove ${run.snapshotPath} to give this unfinished backup up`,
    });
  const atOnce = obstacleInRequest(file, asked, source);
  if (atOnce !== undefined) return { obstacle: atOnce };
  const snapshot = await find(file.snapshot.uuid);
  if (!snapshot) return { obstacle: whyGone(file, source) };
  const parent = file.parent && ((await find(file.parent.uuid)) ?? 'gone');
  if (parent === 'gone') return { obstacle: 'its parent snapshot is gone' };
  const located = withPaths(file, snapshot.path, parent?.path, run);
  const obstacle =
    (await obstacleInSnapshot(context, located, snapshot, source)) ??
    obstacleInPointer(located, pointer) ??
    (await obstacleInParent(context, located));
  return obstacle === undefined ? { file: located } : { obstacle };
}

/** Snapshots of others may all have one name. */
export function nameForPeople({ snapshot, adopted }: SnapshotFile): string {
  return adopted ? snapshot.path : snapshot.name;
}

function obstacleInRequest(
  { kind, adopted }: SnapshotFile,
  asked: BackupKind | 'auto',
  { next }: SnapshotSource,
): string | undefined {
  if (asked !== 'auto' && asked !== kind) return `it is ${kind}, but KIND=${asked} is asked for`;
  if ((adopted ?? false) !== 'adopt' in next)
    return 'SUBVOLUMES says otherwise now where snapshots come from';
  return undefined;
}

function whyGone(file: SnapshotFile, { here }: SnapshotSource): string {
  const isReplaced = here.some(({ path }) => path === file.snapshot.path);
  return `its snapshot ${nameForPeople(file)} ${isReplaced ? 'was replaced: another one has its path' : 'is gone'}`;
}

/** @throws ToolError for a snapshot of ours that was renamed: its name is in its stream, and decides what may be deleted. */
function withPaths(
  file: SnapshotFile,
  path: string,
  parentPath: string | undefined,
  run: RunDirectory,
): SnapshotFile {
  const name = basename(path);
  if (!file.adopted && name !== file.snapshot.name) {
    throw new ToolError(
      `the snapshot ${file.snapshot.name} of an unfinished backup was renamed: it is ${path} now`,
      { hint: `rename it back, or remove ${run.snapshotPath} to give this unfinished backup up` },
    );
  }
  return {
    ...file,
    snapshot: { ...file.snapshot, name, path },
    parent: file.parent && { ...file.parent, path: parentPath ?? file.parent.path },
  };
}

async function obstacleInSnapshot(
  context: StageContext,
  { snapshot, adopted }: SnapshotFile,
  found: FoundSubvolume,
  source: SnapshotSource,
): Promise<string | undefined> {
  if (!found.readOnly) return `its snapshot ${snapshot.path} is no longer read-only`;
  if ((found.receivedUuid ?? null) !== snapshot.received_uuid) {
    return `its snapshot ${snapshot.path} has another received UUID than when it was planned`;
  }
  // It need not be of the subvolume as it is now, which may have been rolled back since.
  const { uuid } = source.subvolume;
  if (adopted || (uuid !== undefined && found.parentUuid === uuid)) return undefined;
  const state = await stateOf(context, found.path);
  const isRelated = state && (await relationTo(source, found, state)).is !== 'none';
  return isRelated ? undefined : 'its snapshot is of another subvolume';
}

function obstacleInPointer({ pointer_etag }: SnapshotFile, pointer: FoundPointer): string | undefined {
  return (pointer?.etag ?? null) === pointer_etag ? undefined : 'another backup was published meanwhile';
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
    return `its parent snapshot was changed since it was planned, ${HOW_CHANGED}`;
  }
  const looked = await lookAtBackup(context, parent.manifest_key);
  return 'problem' in looked
    ? `the backup that it builds on cannot be restored: ${looked.problem}`
    : undefined;
}
