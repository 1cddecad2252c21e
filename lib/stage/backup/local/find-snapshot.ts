/** A snapshot of ours or of others, wherever it is by now: its UUID is what stays. */
import { ToolError } from '../../../core/errors.ts';
import type { FoundSubvolume } from '../../../edge/btrfs/btrfs.ts';
import { findUnmounted } from '../../../edge/btrfs/host-identity.ts';
import type { SnapshotSource } from '../snapshot-source.ts';

/** What is known of a snapshot. */
export interface SoughtSnapshot {
  readonly uuid: string;
  /** The filesystem that it was on; undefined where that was not written down. */
  readonly filesystemUuid: string | undefined;
  /** How to continue without it: the end of a hint. */
  readonly otherwise: string;
}

/**
 * Looks for a snapshot where snapshots are expected, then on the whole filesystem, as a directory may have been moved.
 * @returns undefined when it is gone.
 * @throws ToolError when it is in a part of the filesystem, or on a filesystem, that is not mounted: that is to be mended, and no
 *   reason to continue without it.
 */
export async function findSnapshot(
  { here, filesystem, filesystemUuid: mountedUuid }: SnapshotSource,
  { uuid, filesystemUuid, otherwise }: SoughtSnapshot,
): Promise<FoundSubvolume | undefined> {
  const found =
    here.find((each) => each.uuid === uuid) ??
    (await filesystem.find(uuid).catch((error: unknown) => {
      if (!(error instanceof ToolError)) throw error;
      throw new ToolError(error.message, {
        ...(error.hint && { hint: `${error.hint}, ${otherwise}` }),
        cause: error,
      });
    }));
  if (found || filesystemUuid === undefined || filesystemUuid === mountedUuid) return found;
  const device = await findUnmounted(filesystemUuid);
  if (device === undefined) return undefined;
  throw new ToolError(
    `the snapshot ${uuid} is on ${device}, filesystem ${filesystemUuid}, which is not mounted`,
    {
      hint: `mount it, ${otherwise}`,
    },
  );
}
