/** Warns of what lies below a subvolume and will not be in its backup, as far as it is neither backed up itself nor ignored. */
import { realpath, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type ListedSubvolume, nestedAmong, type ShownSubvolume } from '../../core/format/btrfs-output.ts';
import type { Mount } from '../../core/format/mountinfo.ts';
import { endsAsSnapshotName } from '../../core/format/names.ts';
import { holdsSnapshotsOf, ignoredBy, mountsLine, nestedLine } from '../../core/plan/backup/left-out.ts';
import { subvolumeAt } from '../../edge/btrfs/btrfs.ts';
import { dataMountsBelow } from '../../edge/btrfs/mounts/data-mounts.ts';
import { mountOf, mountsOfSame, pathsOf } from '../../edge/btrfs/mounts/mounts.ts';
import { subvolumeRootInode } from '../../edge/btrfs/wrong-place.ts';
import type { StageContext } from '../context.ts';
import { type Covered, coveredBy } from './covered-subvolumes.ts';

/** A subvolume in another one: its path below that. */
export interface NestedSubvolume {
  readonly path: string;
  readonly uuid: string;
}

/** The subvolume that is backed up, and where it is: a path of its own, or one of its snapshots where it may not be mounted. */
export interface OuterSubvolume {
  readonly name: string;
  readonly info: ShownSubvolume;
  readonly at: { readonly path: string } | { readonly snapshot: string };
}

/**
 * Warns of nested subvolumes and of mounts.
 * @param everything all subvolumes of the filesystem
 * @returns the nested subvolumes that hold data, for the manifest: those that have backups of their own too, but not the ignored ones
 */
export async function warnOfLeftOut(
  { settings, log }: Pick<StageContext, 'settings' | 'log'>,
  { name, info, at }: OuterSubvolume,
  everything: readonly ListedSubvolume[],
): Promise<readonly NestedSubvolume[]> {
  const { device } = await mountOf('path' in at ? at.path : at.snapshot);
  // The kernel lists mounts by their real paths; settings may name others, as by a link.
  const outer = 'path' in at ? await realpath(at.path) : await findMounted(info, device);
  const snapshotDir = await realOf(settings.SNAPSHOT_DIR);
  const matches = ignoredBy(settings.IGNORE_NESTED);
  const isIgnored = (path: string) =>
    matches(path) || ('path' in at && matches(join(at.path, relative(outer ?? '', path))));
  const pathOf = (path: string) => join(outer ?? `/${info.topLevelPath}`, path);
  const nested = nestedAmong(everything, info).filter(
    (each) =>
      // Snapshots of one without a UUID look like any other subvolume: rather one warning too many.
      (info.uuid === undefined || each.parentUuid !== info.uuid) &&
      !endsAsSnapshotName(each.path) &&
      pathOf(each.path) !== snapshotDir &&
      !holdsSnapshotsOf(each, info.uuid, everything) &&
      !isIgnored(pathOf(each.path)),
  );
  const below = outer === undefined ? [] : await dataMountsBelow(outer);
  if (nested.length === 0 && below.length === 0) return [];

  const selected = settings.SUBVOLUMES ?? [];
  const covered = coveredBy({ selected, outer, device, everything });
  const uncovered = await uncoveredAmong(nested, pathOf, covered);
  const others: Mount[] = [];
  for (const mount of below) {
    const { target, root, type } = mount;
    const isNested = nested.some(({ path }) => pathOf(path) === target);
    const holdsSnapshotDir = `${snapshotDir}/`.startsWith(`${target}/`);
    if (isIgnored(target) || isNested || holdsSnapshotDir) continue;
    const isHere = mount.device === device;
    const subvolume = isHere ? everything.find(({ path }) => `/${path}` === root) : undefined;
    if (subvolume && holdsSnapshotsOf(subvolume, info.uuid, everything)) continue;
    // Other filesystems may be on a network, and a look at them may never end.
    if (type !== 'btrfs' || !(await covered(target, subvolume?.uuid))) others.push(mount);
  }
  const taken = selected.map((subvolume) => subvolume.name);
  const unmounted = outer === undefined ? info.topLevelPath : undefined;
  const lines = [
    nestedLine(uncovered.map(pathOf), taken, unmounted),
    mountsLine(outer ?? '', others, await subvolumesAmong(others), taken),
  ];
  for (const line of lines) if (line !== undefined) log.warn(`${name}: ${line}`);
  return nested.flatMap(({ path, uuid }) => (uuid === undefined ? [] : [{ path, uuid }]));
}

/** A path without links, as far as there is something at it. */
async function realOf(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : realpath(path).catch(() => path);
}

/** The paths of those that are not backed up themselves; those in one that is are its own to warn of. */
async function uncoveredAmong(
  nested: readonly ListedSubvolume[],
  pathOf: (path: string) => string,
  covered: Covered,
): Promise<readonly string[]> {
  const coveredIds = new Set<number>();
  for (const { id, path, uuid } of nested) if (await covered(pathOf(path), uuid)) coveredIds.add(id);
  return nested.flatMap(({ id, containerId, path }) =>
    coveredIds.has(id) || coveredIds.has(containerId) ? [] : path,
  );
}

/** The mount points at which a subvolume is mounted, and not a directory of one or another filesystem. */
async function subvolumesAmong(mounts: readonly Mount[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { target, type } of mounts) {
    const status = type === 'btrfs' && (await stat(target, { bigint: true }).catch(() => undefined));
    if (status && status.ino === subvolumeRootInode) found.push(target);
  }
  return found;
}

/** Where a subvolume of which there is a snapshot can be reached; undefined where it is not mounted. */
async function findMounted(
  { topLevelPath, uuid }: ShownSubvolume,
  device: string,
): Promise<string | undefined> {
  // Best its own mount, then those of directories above it.
  const mounts = [...(await mountsOfSame({ device }))].sort(
    (one, other) => other.root.length - one.root.length,
  );
  for (const path of pathsOf(topLevelPath === '/' ? '/' : `/${topLevelPath}`, mounts)) {
    const found = await subvolumeAt(path, '').catch(() => undefined);
    if (found && found.uuid === uuid) return path;
  }
  return undefined;
}
