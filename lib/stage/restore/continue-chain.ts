/**
 * CONTINUE=1: a restore leaves in SNAPSHOT_DIR what the next backup builds on, so that a host that was restored uploads only what has changed. It is a
 * read-only copy of what was received last, under the UUID that the streams of its backup carry.
 */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import type { Manifest, StoredManifest } from '../../core/format/manifest.ts';
import { restoredSnapshotName } from '../../core/format/names.ts';
import { copyStream } from '../../core/stream/copy-stream.ts';
import {
  deleteSubvolume,
  type FoundSubvolume,
  showSubvolume,
  subvolumeAt,
  takeSnapshot,
} from '../../edge/btrfs/btrfs.ts';
import { mountOf } from '../../edge/btrfs/mounts/mounts.ts';
import { readStreamHead } from '../../edge/btrfs/read-stream-head.ts';
import { checkWritable, pathExists } from '../../edge/files/files.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { openReceiveStream } from '../../transfer/back/receive-stream.ts';
import { findPointer } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';
import type { ReceivedStream } from './receive-backup.ts';
import type { RestoreRecord } from './staging/record.ts';
import type { Staging } from './staging/staging.ts';

/** Name of the copy in the staging directory; streams are received as `a` and `b`. */
const copyName = 'c';

/**
 * Checks before anything is fetched that the next backup could build on this restore.
 * @throws ToolError (usage) with what stands in the way
 */
export async function checkContinuable(
  { settings }: StageContext,
  name: string,
  target: string,
): Promise<void> {
  const directory = settings.SNAPSHOT_DIR;
  if (!directory)
    throw notPossible('SNAPSHOT_DIR is not set', 'set it to a directory on the filesystem of TARGET');
  if (!(await pathExists(directory))) {
    throw notPossible(`SNAPSHOT_DIR ${directory} does not exist`, `make it: mkdir -p -m 0700 ${directory}`);
  }
  if (!(await stat(directory)).isDirectory()) {
    throw notPossible(`SNAPSHOT_DIR ${directory} is no directory`, 'name a directory');
  }
  const parent = dirname(target);
  const [here, there] = await Promise.all([mountOf(parent), mountOf(directory)]);
  if (there.type !== 'btrfs' || here.device !== there.device) {
    throw notPossible(
      `SNAPSHOT_DIR ${directory} (${there.type} on ${there.source}) is not on the filesystem of ${parent} (${here.source})`,
      'choose a TARGET there, or another SNAPSHOT_DIR',
    );
  }
  await checkWritable(directory, `CONTINUE=1 is not possible: no snapshot can be made in ${directory}`);
  const selected = settings.SUBVOLUMES?.find((each) => each.name === name);
  if (selected && 'snapshots' in selected) {
    throw notPossible(
      `SUBVOLUMES takes ${name} from snapshots of others, ${selected.snapshots}`,
      `restore without it, or write ${name}=${target}`,
    );
  }
}

/** @throws ToolError (usage) for a backup that no other can build on */
export function checkContinuableBackup({ snapshot, created_at }: Manifest): void {
  if (snapshot.uuid !== null) return;
  throw notPossible(
    `the backup of ${created_at} does not record the UUID of its snapshot`,
    'restore without it; the next backup is a full one',
  );
}

/**
 * Puts the copy into SNAPSHOT_DIR, unless an earlier run has.
 * @returns its path
 */
export async function putCopy(
  context: StageContext,
  staging: Staging,
  record: RestoreRecord,
  { manifest }: StoredManifest,
  received: ReceivedStream,
): Promise<string> {
  const earlier = await copyOf(record);
  if (earlier) return earlier.path;
  const copy = await makeCopy(context, staging, received);
  const path = await freePath(context.settings.SNAPSHOT_DIR ?? '', manifest);
  // First, so that a killed run finds what it has left.
  await record.write({ continued: { path, taken_of: copy.uuid } });
  // A read-only snapshot keeps the received UUID, and is read-only from the moment at which it is there.
  await takeSnapshot(copy.path, path, 'read-only');
  return path;
}

/** Removes the copy that an earlier run has put into SNAPSHOT_DIR, which is not wanted any more. */
export async function takeCopyBack(record: Pick<RestoreRecord, 'file'>): Promise<void> {
  const copy = await copyOf(record);
  if (copy) await deleteSubvolume(copy.path);
}

/** Remembers in RUN_DIR that this host continues the chain, from this backup on. */
export async function rememberContinued(
  { bucket, settings, now }: StageContext,
  { key, manifest }: StoredManifest,
  path: string,
): Promise<void> {
  const pointer = await findPointer(bucket, manifest.subvolume);
  const run = new RunDirectory(settings.RUN_DIR, manifest.subvolume);
  await run.create();
  await run.writeContinued({
    manifest_key: key,
    last_manifest_key: pointer && 'pointer' in pointer ? pointer.pointer.manifest_key : null,
    continued_at: now().toISOString(),
    server: bucket.server,
    bucket: bucket.name,
    snapshot_uuid: (await showSubvolume(path)).uuid,
    transid: (await readStreamHead(path)).transid,
  });
}

/** What the user has to set for the next backup to go on, a sentence each. */
export function whatToSet(
  { settings, bucket, hostName }: StageContext,
  name: string,
  target: string,
): readonly string[] {
  const selected = settings.SUBVOLUMES?.find((each) => each.name === name);
  const isSelected = selected && 'path' in selected && selected.path === target;
  return [
    ...(isSelected
      ? []
      : [
          `the next backup is incremental once the restored data is what SUBVOLUMES names: move it there, or write ${name}=${target}`,
        ]),
    ...(settings.S3_PREFIX === undefined && bucket.prefix === hostName
      ? []
      : [`keep S3_PREFIX=${bucket.prefix} in the settings of this host`]),
  ];
}

async function copyOf({ file }: Pick<RestoreRecord, 'file'>): Promise<FoundSubvolume | undefined> {
  if (!file.continued) return undefined;
  const { path, taken_of } = file.continued;
  const found = await subvolumeAt(path, path);
  return found?.parentUuid === taken_of && found.readOnly ? found : undefined;
}

/** Receives a stream without content, which is how a subvolume gets a received UUID. */
async function makeCopy(
  { signal }: StageContext,
  staging: Staging,
  { head, labels, path: receivedPath }: ReceivedStream,
): Promise<FoundSubvolume> {
  const path = join(staging.path, copyName);
  const left = await subvolumeAt(path, copyName);
  if (left) await deleteSubvolume(path);
  const { transid } = await readStreamHead(receivedPath);
  const receive = openReceiveStream(staging.path, signal, { lock: staging.lock.fd });
  try {
    await receive.write(copyStream(copyName, head, { uuid: labels.uuid, transid }));
    await receive.finish();
  } finally {
    await receive.close();
  }
  const made = await subvolumeAt(path, copyName);
  if (made?.readOnly && made.receivedUuid === head.uuid) return made;
  throw new ToolError(`btrfs receive made no copy of ${receivedPath} with received UUID ${head.uuid}`, {
    hint: 'restore without CONTINUE=1; the next backup is a full one',
  });
}

async function freePath(directory: string, { subvolume, created_at, kind }: Manifest): Promise<string> {
  for (let count = 0; ; count++) {
    const path = join(directory, restoredSnapshotName(subvolume, created_at, kind, count));
    if (!(await pathExists(path))) return path;
  }
}

function notPossible(message: string, hint: string): ToolError {
  return new ToolError(`CONTINUE=1 is not possible: ${message}`, { kind: 'usage', hint });
}
