/** Which subvolumes SUBVOLUMES backs up, whatever the paths by which it names them. */
import { realpath, stat } from 'node:fs/promises';
import type { ListedSubvolume } from '../../core/format/btrfs-output.ts';
import type { SelectedSubvolume } from '../../core/settings/rules.ts';
import { matchingPaths } from '../../edge/btrfs/matching-subvolumes.ts';
import { mountOf, placeOf } from '../../edge/btrfs/mounts/mounts.ts';

/** Decides whether the subvolume at a path, or with a UUID where that is known, is backed up. */
export type Covered = (path: string, uuid: string | undefined) => Promise<boolean>;

/** What has to be known of a host. */
export interface CoverageFacts {
  readonly selected: readonly SelectedSubvolume[];
  /** The subvolume that is looked at, which is backed up in any case. */
  readonly outer: string | undefined;
  /** Of its filesystem, whose subvolumes `everything` has. */
  readonly device: string;
  readonly everything: readonly ListedSubvolume[];
}

/**
 * Decides by the number of its device, which a subvolume has for itself wherever it is mounted, or by the UUID that the snapshots of
 * others have as their parent's. What cannot be looked at is not covered.
 */
export function coveredBy({ selected, outer, device, everything }: CoverageFacts): Covered {
  const deviceOf = async (path: string) => (await stat(path, { bigint: true }).catch(() => undefined))?.dev;
  const findDevices = async () => {
    const live = selected.flatMap((each) => ('path' in each ? [each.path] : []));
    return new Set(await Promise.all([...live, ...(outer === undefined ? [] : [outer])].map(deviceOf)));
  };
  const findSources = async () => {
    const byPlace = new Map(everything.map((subvolume) => [subvolume.path, subvolume]));
    const patterns = selected.flatMap((each) => ('snapshots' in each ? [each.snapshots] : []));
    const paths = await Promise.all(patterns.map((pattern) => matchingPaths(pattern).catch(() => [])));
    const uuids = new Set<string>();
    for (const path of paths.flat()) {
      const place = await placeOn(device, path).catch(() => undefined);
      const parentUuid = place === undefined ? undefined : byPlace.get(place)?.parentUuid;
      if (parentUuid !== undefined) uuids.add(parentUuid);
    }
    return uuids;
  };
  let devices: ReturnType<typeof findDevices> | undefined;
  let sources: ReturnType<typeof findSources> | undefined;
  return async (path, uuid) => {
    devices ??= findDevices();
    const own = await deviceOf(path);
    if (own !== undefined && (await devices).has(own)) return true;
    sources ??= findSources();
    return uuid !== undefined && (await sources).has(uuid);
  };
}

/** Where a path is below the top level of a filesystem, as `@home/photos`; undefined where it is on another one. */
async function placeOn(device: string, path: string): Promise<string | undefined> {
  const real = await realpath(path);
  const mount = await mountOf(real);
  return mount.device === device ? placeOf(real, mount).slice(1) : undefined;
}
