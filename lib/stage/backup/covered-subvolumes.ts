/** Which subvolumes SUBVOLUMES backs up, whatever the paths by which it names them. */
import { stat } from 'node:fs/promises';
import type { ListedSubvolume } from '../../core/format/btrfs-output.ts';
import type { SelectedSubvolume } from '../../core/settings/rules.ts';
import { matchingPaths } from '../../edge/btrfs/matching-subvolumes.ts';
import { type Mount, placeOf } from '../../edge/btrfs/mounts/data-mounts.ts';

/** Decides whether the subvolume at a path, or with a UUID where that is known, is backed up. */
export type Covered = (path: string, uuid: string | undefined) => Promise<boolean>;

/** What has to be known of a host. */
export interface CoverageFacts {
  readonly selected: readonly SelectedSubvolume[];
  /** The subvolume that is looked at, which is backed up in any case. */
  readonly outer: string | undefined;
  /** Of its filesystem, whose subvolumes `everything` has. */
  readonly device: string | undefined;
  readonly everything: readonly ListedSubvolume[];
  readonly mounts: readonly Mount[];
}

/**
 * Decides by the number of its device, which a subvolume has for itself wherever it is mounted, or by the UUID that the snapshots of
 * others have as their parent's. What cannot be looked at is not covered.
 */
export function coveredBy({ selected, outer, device, everything, mounts }: CoverageFacts): Covered {
  const deviceOf = async (path: string) => (await stat(path, { bigint: true }).catch(() => undefined))?.dev;
  const findDevices = async () => {
    const live = selected.flatMap((each) => ('path' in each ? [each.path] : []));
    return new Set(await Promise.all([...live, ...(outer === undefined ? [] : [outer])].map(deviceOf)));
  };
  const findSources = async () => {
    const byPlace = new Map(everything.map((subvolume) => [subvolume.path, subvolume]));
    const patterns = selected.flatMap((each) => ('snapshots' in each ? [each.snapshots] : []));
    const paths = await Promise.all(patterns.map((pattern) => matchingPaths(pattern).catch(() => [])));
    const places = paths.flat().flatMap((path) => placeOf(path, mounts) ?? []);
    const here = places.filter((place) => place.device === device);
    return new Set(here.flatMap(({ path }) => byPlace.get(path)?.parentUuid ?? []));
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
