/** Whether a chain can be received at TARGET: looked at before the first request that costs, and not when all is downloaded. */
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import type { StoredManifest } from '../../core/format/manifest.ts';
import { doubtsOfReceiving, obstacleToReceiving, progsObstacle } from '../../core/plan/receivable.ts';
import { isSubvolumeRoot, readProgsVersion } from '../../edge/btrfs/btrfs.ts';
import { readNodeSize } from '../../edge/btrfs/host-identity.ts';
import { type Mount, mountOf, mountsOfSame, pathsOf, placeOf } from '../../edge/btrfs/mounts/mounts.ts';
import { checkWritable } from '../../edge/files/files.ts';
import type { StageContext } from '../context.ts';

/**
 * Refuses a TARGET at which receiving a chain is bound to fail, and warns where manifests do not show it.
 * @returns TARGET, by a path at which receiving works: increments need a mount of a subvolume, not of a directory.
 * @throws ToolError
 */
export async function receivableTarget(
  { log }: StageContext,
  chain: readonly StoredManifest[],
  target: string,
): Promise<string> {
  const manifests = chain.map(({ manifest }) => manifest);
  const directory = dirname(target);
  const mount = await mountOf(directory);
  const receiver = {
    progsVersion: await readProgsVersion(),
    mountPoint: mount.target,
    mountOptions: [...mount.options, ...mount.filesystemOptions],
    nodeSize: await readNodeSize(directory),
  };
  const obstacle = obstacleToReceiving(manifests, receiver);
  if (obstacle) throw new ToolError(obstacle.problem, { hint: obstacle.hint });
  for (const doubt of doubtsOfReceiving(manifests, receiver)) {
    log.warn(`${doubt}: if this backup has some, which it does not record, the restore will fail`);
  }
  await checkWritable(directory, `cannot restore into ${directory}`);
  if (chain.length === 1 || (await isSubvolumeRoot(mount.target))) return target;
  const path = join(await pathThroughSubvolume(directory, mount), basename(target));
  log.info(`${target} is below a mount of a directory: restoring to ${path}, which is the same place`);
  return path;
}

/** Warns, before anything is thawed, of streams that this host cannot receive; another one may. */
export async function warnOfUnreceivable(
  { log }: StageContext,
  chain: readonly StoredManifest[],
): Promise<void> {
  const manifests = chain.map(({ manifest }) => manifest);
  const obstacle = progsObstacle(manifests, await readProgsVersion());
  if (obstacle) log.warn(`this chain cannot be restored on this host: ${obstacle.problem}; ${obstacle.hint}`);
}

/**
 * The same directory by a mount of a subvolume. `btrfs receive` looks for the parent of an increment below the mount point, by the
 * path that it has in the filesystem, which a mount of a directory does not show.
 * @throws ToolError (usage) when there is none.
 */
async function pathThroughSubvolume(directory: string, mount: Mount): Promise<string> {
  const place = placeOf(await realpath(directory), mount);
  const here = await stat(directory, { bigint: true });
  for (const other of await mountsOfSame(mount)) {
    if (!(await isSubvolumeRoot(other.target))) continue;
    for (const path of pathsOf(place, [other])) {
      const there = await stat(path, { bigint: true }).catch(() => undefined);
      if (there?.ino === here.ino && there.dev === here.dev) return path;
    }
  }
  throw new ToolError(
    `${directory} is below ${mount.target}, a mount of the directory ${mount.root}, where btrfs receive does not find what an increment builds on`,
    {
      kind: 'usage',
      hint: `mount the filesystem itself, as with: mount -o subvolid=5 ${mount.source} DIRECTORY, and name a TARGET below that`,
    },
  );
}
