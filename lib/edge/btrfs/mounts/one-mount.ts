/** A snapshot and its parent by paths below one mount point: `btrfs send` finds no parent elsewhere ("not on mount point"). */
import { realpath, stat } from 'node:fs/promises';
import { ToolError } from '../../../core/errors.ts';
import { type Mount, mountOf, mountsOfSame, pathsOf, placeOf } from './mounts.ts';

/** Paths of a snapshot and of the snapshot that it is sent on. */
export interface SentPaths {
  readonly snapshotPath: string;
  readonly parentPath: string;
}

/**
 * The same two by paths that `btrfs send` takes together: the parent's has to begin with the mount point that the snapshot is seen
 * through (subvol_strip_mountpoint in btrfs-progs).
 * @param sent the snapshot, or the directory that it is going to be taken into
 * @throws ToolError when no mount shows both
 */
export async function throughOneMount(sent: SentPaths): Promise<SentPaths> {
  const [snapshot, parent] = await Promise.all([realpath(sent.snapshotPath), realpath(sent.parentPath)]);
  const seen = await mountOf(snapshot);
  if (isBelow(parent, seen)) return sent;
  const mounts = await mountsOfSame(seen);
  const parents = [parent, ...(await pathsToSame(parent, await mountOf(parent), mounts))];
  for (const snapshotPath of await pathsToSame(snapshot, seen, mounts)) {
    const mount = await mountOf(snapshotPath);
    const parentPath = parents.find((path) => isBelow(path, mount));
    if (parentPath !== undefined) return { snapshotPath, parentPath };
  }
  throw new ToolError(
    `no mount shows both ${sent.snapshotPath} and ${sent.parentPath}, which an incremental btrfs send needs`,
    {
      hint: `mount the filesystem itself, as with: mount -o subvolid=5 ${seen.source} DIRECTORY, or begin a new chain with KIND=full`,
    },
  );
}

function isBelow(path: string, { target }: Mount): boolean {
  return target === '/' || path.startsWith(`${target}/`);
}

/** Where a path is seen: what another mount covers is left out. */
async function pathsToSame(path: string, mount: Mount, mounts: readonly Mount[]): Promise<readonly string[]> {
  const here = await stat(path, { bigint: true });
  const same: string[] = [];
  for (const candidate of pathsOf(placeOf(path, mount), mounts)) {
    const there = await stat(candidate, { bigint: true }).catch(() => undefined);
    if (there?.ino === here.ino && there.dev === here.dev) same.push(candidate);
  }
  return same;
}
