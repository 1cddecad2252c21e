/** A subvolume that is backed up under another name already: a new name begins a chain of its own, and stores everything again. */
import { ToolError } from '../../core/errors.ts';
import type { Manifest } from '../../core/format/manifest.ts';
import { readableTimestamp } from '../../core/format/names.ts';
import { newestOfEachName } from '../bucket/newest-of-names.ts';
import type { StageContext } from '../context.ts';
import type { SnapshotSource } from './snapshot-source.ts';

/**
 * Warns, before the first backup under a name, of the newest one of the same subvolume under another; by UUID, as paths change. Nothing
 * fails for it.
 */
export async function warnOfOtherName(
  context: StageContext,
  name: string,
  source: SnapshotSource,
): Promise<void> {
  const { bucket, log, signal } = context;
  const manifests = await newestOfEachName(bucket).catch((error: unknown) => {
    signal.throwIfAborted();
    if (!(error instanceof ToolError)) throw error;
    log.debug(`no look at other names: ${error.message}`);
    return [];
  });
  const others = manifests.filter((manifest) => manifest.subvolume !== name && isOf(manifest, source));
  const newest = others.sort((a, b) => (a.created_at < b.created_at ? -1 : 1)).at(-1);
  if (!newest) return;
  log.warn(
    `${name}: this subvolume has backups as "${newest.subvolume}", the last of ${readableTimestamp(newest.created_at)}: a second chain begins; to continue that one, call it ${newest.subvolume}= in SUBVOLUMES`,
  );
}

function isOf({ snapshot }: Manifest, { subvolume, filesystem, here, next }: SnapshotSource): boolean {
  const madeFrom = filesystem.subvolumes.get(snapshot.uuid ?? '')?.parentUuid;
  const known = [snapshot.source_uuid, madeFrom].filter((uuid) => uuid !== undefined);
  if (subvolume.uuid !== undefined && known.includes(subvolume.uuid)) return true;
  // Snapshots of others may be received ones, each made from the one before.
  return 'adopt' in next && here.some(({ uuid }) => uuid === snapshot.uuid);
}
