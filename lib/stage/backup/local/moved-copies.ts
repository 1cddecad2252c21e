/** Copies of backups that a subvolume was restored from, where SNAPSHOT_DIR does not show them, as on a machine that has booted from what was restored. */
import { ToolError } from '../../../core/errors.ts';
import type { ListedSubvolume } from '../../../core/format/btrfs-output.ts';
import type { ContinuedFile } from '../../../core/format/run-files.ts';
import type { LastBackup } from '../../../core/plan/backup/backup-plan.ts';
import type { FoundSubvolume } from '../../../edge/btrfs/btrfs.ts';
import type { SnapshotSource } from '../snapshot-source.ts';

/** What was found. */
export interface MovedCopies {
  readonly copies: readonly FoundSubvolume[];
  /** For one that no mount shows. Where the last backup has no snapshot here, a mount is to be mended, and that is no reason for a full backup. */
  readonly outOfReach: ToolError | undefined;
}

/** Looks on the whole filesystem for what was received of the last backup's chain and has become the subvolume that is backed up. */
export async function findMovedCopies(
  source: SnapshotSource,
  last: LastBackup,
  continued: ContinuedFile | undefined,
): Promise<MovedCopies> {
  const members = last && 'manifest' in last ? streamUuidsOf(last) : [];
  const seen = new Set(source.here.map(({ uuid }) => uuid));
  const copies: FoundSubvolume[] = [];
  let outOfReach: ToolError | undefined;
  for (const { uuid, receivedUuid } of originsOf(source)) {
    if (uuid === undefined || receivedUuid === undefined || seen.has(uuid)) continue;
    if (!members.includes(receivedUuid) && continued?.snapshot_uuid !== uuid) continue;
    const copy = await source.filesystem.find(uuid).catch((error: unknown) => {
      if (!(error instanceof ToolError)) throw error;
      outOfReach ??= new ToolError(`${error.message}; what is backed up was restored from it`, {
        hint: `${error.hint}; or begin a new chain with KIND=full`,
        cause: error,
      });
    });
    if (copy) copies.push(copy);
  }
  return { copies, outOfReach };
}

function streamUuidsOf(last: Extract<LastBackup, { readonly manifest: unknown }>): readonly string[] {
  return 'problem' in last.chain ? [] : last.chain.streamUuids;
}

/** What the subvolume is a snapshot of, and what that is one of, as far as it is still there. */
function originsOf({ sent, filesystem }: SnapshotSource): readonly ListedSubvolume[] {
  const origins: ListedSubvolume[] = [];
  let at = filesystem.subvolumes.get(sent.parentUuid ?? '');
  while (at && !origins.includes(at)) {
    origins.push(at);
    at = filesystem.subvolumes.get(at.parentUuid ?? '');
  }
  return origins;
}
