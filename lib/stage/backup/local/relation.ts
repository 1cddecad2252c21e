/** What a subvolume has to do with the snapshot of its last backup, as far as the filesystem shows without a look at all inodes. */
import { type LineageSubvolume, type Relation, relate } from '../../../core/plan/backup/lineage.ts';
import type { StreamHead } from '../../../core/stream/stream-head.ts';
import { type FoundSubvolume, readBirth } from '../../../edge/btrfs/btrfs.ts';
import { readStreamHead } from '../../../edge/btrfs/read-stream-head.ts';
import type { SnapshotSource } from '../snapshot-source.ts';

/** Relates what is sent to a snapshot in a state that was read just now. */
export async function relationTo(
  source: Pick<SnapshotSource, 'sent' | 'filesystem'>,
  snapshot: FoundSubvolume,
  { transid }: StreamHead,
): Promise<Relation> {
  const { subvolumes } = source.filesystem;
  const createdTransid = subvolumes.get(snapshot.uuid)?.createdTransid ?? 0;
  const parent = { ...snapshot, createdTransid, transid };
  const byAncestors = relate(source.sent, parent, subvolumes);
  if (byAncestors.is !== 'unproven') return byAncestors;
  const asMade = await unwrittenAmong(source, byAncestors.between);
  const byStates = asMade.size > 0 ? relate(source.sent, parent, subvolumes, asMade) : byAncestors;
  if (byStates.is !== 'unproven') return byStates;
  // Snapshots of one origin have the time at which its top directory was made.
  const [one, other] = await Promise.all([readBirth(snapshot.path), readBirth(source.sent.path)]);
  return one === other ? byStates : { ...byStates, is: 'none' };
}

/** Those that are read-only, as the state that a rollback was made from, and were never changed in place. */
async function unwrittenAmong(
  { filesystem }: Pick<SnapshotSource, 'filesystem'>,
  subvolumes: readonly LineageSubvolume[],
): Promise<ReadonlySet<string>> {
  const unwritten = new Set<string>();
  for (const { uuid, createdTransid } of subvolumes) {
    if (uuid === undefined) continue;
    const found = await filesystem.find(uuid).catch(() => undefined);
    if (!found?.readOnly) continue;
    const head = await readStreamHead(found.path).catch(() => undefined);
    if (head && head.transid <= createdTransid) unwritten.add(uuid);
  }
  return unwritten;
}
