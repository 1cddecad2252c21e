/** All subvolumes of a filesystem, wherever they lie: a snapshot is what its UUID says, not where it was seen last. */
import { basename } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import type { ListedSubvolume } from '../../core/format/btrfs-output.ts';
import { type FoundSubvolume, listSubvolumes, subvolumeAt } from './btrfs.ts';
import { mountOf, mountsOfSame, pathsOf } from './mounts/mounts.ts';

/** A filesystem, as it was when it was looked at. */
export interface WholeFilesystem {
  /** All but the top level itself. */
  readonly listed: readonly ListedSubvolume[];
  /** Those that have a UUID, by that. */
  readonly subvolumes: ReadonlyMap<string, ListedSubvolume>;
  /**
   * The subvolume with a UUID, by a path under which it can be reached; undefined when the filesystem has none.
   * @throws ToolError when it is there, but no mount shows it.
   */
  find(uuid: string): Promise<FoundSubvolume | undefined>;
}

/**
 * Looks at the filesystem that a path is on.
 * @throws ToolError when its subvolumes cannot be listed.
 */
export async function lookAtFilesystem(path: string): Promise<WholeFilesystem> {
  const listed = await listSubvolumes(path);
  const subvolumes = new Map(
    listed.flatMap((each): [string, ListedSubvolume][] => (each.uuid ? [[each.uuid, each]] : [])),
  );
  return {
    listed,
    subvolumes,
    async find(uuid) {
      const known = subvolumes.get(uuid);
      if (!known) return undefined;
      const mount = await mountOf(path);
      const place = `/${known.path}`;
      for (const candidate of pathsOf(place, await mountsOfSame(mount))) {
        const found = await subvolumeAt(candidate, basename(candidate)).catch(() => undefined);
        if (found?.uuid === uuid) return found;
      }
      // Deleted since it was listed.
      if (!(await listSubvolumes(path)).some((each) => each.uuid === uuid)) return undefined;
      throw new ToolError(
        `the snapshot ${uuid} is at ${place} of the filesystem on ${mount.source}, which no mount shows`,
        { hint: `mount it, as with: mount -o subvolid=5 ${mount.source} DIRECTORY` },
      );
    },
  };
}
