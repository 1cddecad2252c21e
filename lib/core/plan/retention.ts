/** Which local snapshots may go after a publish. */
import { parseSnapshotName } from '../format/names.ts';

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
  readonly uuid: string;
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
  return made.some(({ uuid }) => !snapshots.some(({ parentUuid }) => parentUuid === uuid));
}

function timestampOf(subvolume: string, name: string): string {
  return parseSnapshotName(subvolume, name)?.timestamp ?? '';
}
