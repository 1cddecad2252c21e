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

function timestampOf(subvolume: string, name: string): string {
  return parseSnapshotName(subvolume, name)?.timestamp ?? '';
}
