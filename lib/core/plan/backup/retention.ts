/** Which local snapshots may go after a publish. */
import { type BackupKind, parseSnapshotName } from '../../format/names.ts';

/**
 * Snapshots that have our names for a subvolume, apart by whose they are: ours were taken from here, or were published where we
 * publish. Others are of another settings file with the same SNAPSHOT_DIR, whose next backup may need them.
 */
export function ownAmong<Snapshot extends { readonly name: string; readonly uuid: string }>(
  subvolume: string,
  snapshots: readonly Snapshot[],
  taken: ReadonlySet<string>,
  isPublished: (kind: BackupKind, timestamp: string) => boolean,
): { readonly own: readonly Snapshot[]; readonly others: readonly Snapshot[] } {
  const [own, others]: [Snapshot[], Snapshot[]] = [[], []];
  for (const snapshot of snapshots) {
    const parsed = parseSnapshotName(subvolume, snapshot.name);
    if (!parsed) continue;
    const isOurs = taken.has(snapshot.uuid) || isPublished(parsed.kind, parsed.timestamp);
    (isOurs ? own : others).push(snapshot);
  }
  return { own, others };
}

/**
 * Names of a subvolume's snapshots that are beyond `keep`, oldest first. Snapshots that are not ours are left alone,
 * and `nextParent` is never among them, however old it is.
 */
export function snapshotsToThin(
  subvolume: string,
  names: readonly string[],
  keep: number,
  nextParent: string,
): readonly string[] {
  const ours = names
    .filter((name) => name !== nextParent && parseSnapshotName(subvolume, name) !== undefined)
    .sort((a, b) => (timestampOf(subvolume, a) < timestampOf(subvolume, b) ? -1 : 1));
  const keepBesideParent = names.includes(nextParent) ? keep - 1 : keep;
  return ours.slice(0, Math.max(0, ours.length - keepBesideParent));
}

/** A subvolume, as far as this is about. */
interface Related {
  readonly uuid: string | undefined;
  readonly parentUuid: string | undefined;
}

/**
 * Whether a received snapshot still waits for a backup that builds on it: a subvolume was made of it, of which there is no snapshot yet. A
 * restore leaves it in this way, and the data may be moved to its place much later.
 * @param snapshots that are here, this one included
 * @param everything on the filesystem
 */
export function isAwaited(
  snapshot: Related & { readonly receivedUuid: string | undefined },
  snapshots: readonly Related[],
  everything: readonly Related[],
): boolean {
  if (snapshot.receivedUuid === undefined) return false;
  const here = new Set(snapshots.map(({ uuid }) => uuid));
  const made = everything.filter(({ uuid, parentUuid }) => parentUuid === snapshot.uuid && !here.has(uuid));
  return made.some(
    ({ uuid }) => !snapshots.some(({ parentUuid }) => uuid !== undefined && parentUuid === uuid),
  );
}

function timestampOf(subvolume: string, name: string): string {
  return parseSnapshotName(subvolume, name)?.timestamp ?? '';
}
