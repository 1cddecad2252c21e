/** Which local snapshots are this backup's own: several settings files may take snapshots of one name into one SNAPSHOT_DIR. */
import type { SnapshotFile, TakenFile } from '../../../core/format/run-files.ts';
import { isAwaited, ownAmong, snapshotsToThin } from '../../../core/plan/backup/retention.ts';
import { shellWord } from '../../../core/recovery/shell-word.ts';
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
  const taken = await new RunDirectory(context.settings.RUN_DIR, subvolume).readTaken();
  const takenHere = new Set(taken.snapshots.filter(isOf(context.bucket)).map(({ uuid }) => uuid));
  const byRecord = ownAmong(subvolume, here, takenHere, () => false);
  const { own, others } =
    byRecord.others.length === 0
      ? byRecord
      : ownAmong(subvolume, here, takenHere, await publishedBackups(context, subvolume));
  tellOthers(context, subvolume, { others, taken });
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

/**
 * Names snapshots that stay. What this RUN_DIR has taken for another bucket or prefix is what was left there when the settings moved: nothing ever
 * deletes it, and it keeps on the disk what was deleted since.
 */
function tellOthers(
  { bucket, log }: StageContext,
  subvolume: string,
  { others, taken }: { readonly others: readonly FoundSubvolume[]; readonly taken: TakenFile },
): void {
  const placeOf = new Map(
    taken.snapshots.map(({ uuid, bucket: name, prefix }) => [uuid, `${name}/${prefix}/`] as const),
  );
  const moved = others.filter(({ uuid }) => placeOf.has(uuid));
  if (moved.length > 0) {
    const places = [...new Set(moved.map(({ uuid }) => placeOf.get(uuid)))].sort().join(' and ');
    const first = moved.slice(0, mostNamed).map(({ path }) => shellWord(path));
    const more = moved.length - first.length;
    const which = more > 0 ? `, these ${first.length} and then ${formatCount(more, 'other')}` : '';
    log.warn(
      `${subvolume}: ${formatCount(moved.length, 'snapshot')} taken for backups to ${places} ${moved.length === 1 ? 'stays' : 'stay'} on the disk, with what was deleted since; when none are made there any more${which}: btrfs subvolume delete ${first.join(' ')}`,
    );
  }
  const unknown = others.filter(({ uuid }) => !placeOf.has(uuid));
  if (unknown.length > 0) {
    const names = firstFew(unknown.map(({ name }) => name));
    log.info(`${subvolume}: snapshots that no backup under ${bucket.prefix}/ was made of stay: ${names}`);
  }
}

function firstFew(words: readonly string[]): string {
  const more = words.length > mostNamed ? ` and ${formatCount(words.length - mostNamed, 'other')}` : '';
  return words.slice(0, mostNamed).join(', ') + more;
}

/** Whether a snapshot was taken for where the settings say. */
function isOf({ server, name, prefix }: StageContext['bucket']) {
  return (taken: TakenFile['snapshots'][number]) =>
    taken.server === server && taken.bucket === name && taken.prefix === prefix;
}

/** Whether a backup of a kind and time was published where this one was, by the keys of the manifests. */
async function publishedBackups({ bucket }: StageContext, subvolume: string) {
  const manifests = await listManifests(bucket, subvolume);
  const known = new Set(manifests.map(({ kind, timestamp }) => `${kind} ${timestamp}`));
  return (kind: string, timestamp: string) => known.has(`${kind} ${timestamp}`);
}
