/** Which local snapshots are this backup's own: several settings files may take snapshots of one name into one SNAPSHOT_DIR. */
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { isAwaited, ownAmong, snapshotsToThin } from '../../../core/plan/backup/retention.ts';
import { formatCount } from '../../../core/units.ts';
import { type FoundSubvolume, findSubvolumes, listSubvolumes } from '../../../edge/btrfs/btrfs.ts';
import { RunDirectory } from '../../../edge/files/run-directory.ts';
import { listManifests } from '../../bucket/backups.ts';
import type { StageContext } from '../../context.ts';

/** Remembers that a snapshot was taken for where the settings say; what is not among `present` any more is forgotten. */
export async function rememberTaken(
  { bucket: { server, name, prefix } }: StageContext,
  run: RunDirectory,
  uuid: string,
  present: { has(uuid: string): boolean },
): Promise<void> {
  const { snapshots } = await run.readTaken();
  const still = snapshots.filter((each) => present.has(each.uuid));
  await run.writeTaken({ snapshots: [...still, { uuid, server, bucket: name, prefix }] });
}

/**
 * The snapshots in SNAPSHOT_DIR that may go after a publish: this backup's own beyond KEEP_SNAPSHOTS. Others stay, as they may be what
 * another settings file builds its next backup on, and are named in the log.
 */
export async function snapshotsToRemove(
  context: StageContext,
  { subvolume, snapshot }: SnapshotFile,
): Promise<readonly FoundSubvolume[]> {
  const { SNAPSHOT_DIR: directory, KEEP_SNAPSHOTS: keep } = context.settings;
  if (directory === undefined) return [];
  // A snapshot that was made writable is in use.
  const found = await findSubvolumes(directory);
  const isReceived = found.some(({ receivedUuid }) => receivedUuid !== undefined);
  const everything = isReceived ? await listSubvolumes(directory) : [];
  const here = found.filter((each) => each.readOnly && !isAwaited(each, found, everything));
  const taken = await takenFrom(context, subvolume);
  const byRecord = ownAmong(subvolume, here, taken, () => false);
  const { own, others } =
    byRecord.others.length === 0
      ? byRecord
      : ownAmong(subvolume, here, taken, await publishedBackups(context, subvolume));
  if (others.length > 0) {
    const named = others.slice(0, mostNamed).map(({ name }) => name);
    const more = others.length > mostNamed ? ` and ${formatCount(others.length - mostNamed, 'other')}` : '';
    context.log.info(
      `${subvolume}: snapshots that no backup under ${context.bucket.prefix}/ was made of stay: ${named.join(', ')}${more}`,
    );
  }
  const thin = new Set(
    snapshotsToThin(
      subvolume,
      own.map(({ name }) => name),
      keep,
      snapshot.name,
    ),
  );
  return own.filter(({ name }) => thin.has(name));
}

const mostNamed = 5;

async function takenFrom(
  { settings, bucket }: StageContext,
  subvolume: string,
): Promise<ReadonlySet<string>> {
  const { snapshots } = await new RunDirectory(settings.RUN_DIR, subvolume).readTaken();
  const here = snapshots.filter(
    ({ server, bucket: name, prefix }) =>
      server === bucket.server && name === bucket.name && prefix === bucket.prefix,
  );
  return new Set(here.map(({ uuid }) => uuid));
}

/** Whether a backup of a kind and time was published where this one was, by the keys of the manifests. */
async function publishedBackups({ bucket }: StageContext, subvolume: string) {
  const manifests = await listManifests(bucket, subvolume);
  const known = new Set(manifests.map(({ kind, timestamp }) => `${kind} ${timestamp}`));
  return (kind: string, timestamp: string) => known.has(`${kind} ${timestamp}`);
}
