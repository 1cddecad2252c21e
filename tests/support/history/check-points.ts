/** The property: every published point restores as it was, and verify finds what was damaged and nothing else. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, ToolError } from '../../../lib/core/errors.ts';
import { verifyBackups } from '../../../lib/stage/bucket/verify.ts';
import type { StageContext } from '../../../lib/stage/context.ts';
import { restoreBackup } from '../../../lib/stage/restore/restore.ts';
import { brokenPoints, manifestsIn } from './bucket-view.ts';
import { btrfs } from './commands.ts';
import { differencesOf, type TreeRecord } from './hands.ts';
import type { HistoryWorld } from './history-world.ts';
import { PropertyFailure } from './step.ts';

/** @throws PropertyFailure with the first point that is not as it was */
export async function checkPoints(world: HistoryWorld): Promise<void> {
  const manifests = await manifestsIn(world);
  const broken = await brokenPoints(world, world.lost);
  for (const { key } of world.points) {
    if (!manifests.has(key) && !world.lost.has(key) && !world.pruned.has(key))
      throw new PropertyFailure(`${key} is gone from the bucket`);
  }
  for (const [key, { snapshot, created_at }] of manifests) {
    const truth = world.uploaded.get(`${snapshot.uuid} ${created_at}`);
    if (!truth) throw new PropertyFailure(`${key} is in the bucket, but was never uploaded`);
    await checkPoint(world, key, truth, broken.has(key));
  }
  if (manifests.size > 0) await checkVerify(world, broken);
}

/** As another host would restore: without snapshots to compare with. */
function restoring(world: HistoryWorld): StageContext {
  const settings = {
    ...world.context.settings,
    SUBVOLUMES: undefined,
    SNAPSHOT_DIR: undefined,
    RUN_DIR: join(world.ground.directory, 'restoring'),
  };
  return { ...world.context, settings };
}

async function checkPoint(
  world: HistoryWorld,
  key: string,
  truth: TreeRecord,
  isBroken: boolean,
): Promise<void> {
  const { restores } = world.ground;
  const target = join(restores, 'target');
  const outcome = await restoreAndCompare(world, { key, truth, isBroken }, target);
  world.tally.count('restores', isBroken ? 'refused, as the chain is damaged' : 'of a whole chain');
  if ('refused' in outcome && !isBroken) {
    throw new PropertyFailure(`restore of ${nameOf(world, key)} failed: ${outcome.refused}`);
  }
  if (!('refused' in outcome)) await btrfs('subvolume', 'delete', target);
  const left = await readdir(restores);
  if (left.length > 0)
    throw new PropertyFailure(`restore of ${nameOf(world, key)} left ${left.join(', ')} behind`);
}

const nameOf = (world: HistoryWorld, key: string) => key.slice(world.bucket.prefix.length + 1);

/** What is restored, and what it has to be. */
export interface Expected {
  readonly key: string;
  readonly truth: TreeRecord;
  readonly isBroken: boolean;
}

/**
 * Restores a point to a path and compares it with what it has to be.
 * @throws PropertyFailure when the restore succeeds and gives another tree, or a chain that is broken, or breaks itself
 */
export async function restoreAndCompare(
  world: HistoryWorld,
  { key, truth, isBroken }: Expected,
  target: string,
): Promise<{ readonly refused: string } | { readonly restored: true }> {
  const which = nameOf(world, key);
  try {
    await restoreBackup(restoring(world), {
      subvolume: 'data',
      target,
      selection: { manifest: key },
      verifyMode: 'none',
      readOnly: false,
      thaw: {},
      mayWait: false,
    });
  } catch (error) {
    if (error instanceof ToolError) {
      return { refused: `${describeError(error)}${error.childOutput ? `; ${error.childOutput}` : ''}` };
    }
    throw new PropertyFailure(`restore of ${which} broke: ${error instanceof Error ? error.stack : error}`);
  }
  if (isBroken) throw new PropertyFailure(`restore of ${which} succeeded, although its chain is damaged`);
  const differences = differencesOf(truth, await world.ground.hands.walk(target));
  if (differences.length === 0) return { restored: true };
  const shown = differences.slice(0, 10).join('\n  ');
  throw new PropertyFailure(`restore of ${which} differs in ${differences.length} places:\n  ${shown}`);
}

async function checkVerify(world: HistoryWorld, broken: ReadonlySet<string>): Promise<void> {
  const { findings } = await verifyBackups(world.context, 'data', true);
  const mayBeNamed = (object: string) =>
    broken.has(object) || world.lost.has(object) || (object.endsWith('/current.json') && world.lost.size > 0);
  const wrong = findings.find(({ object }) => !mayBeNamed(object));
  if (wrong) throw new PropertyFailure(`verify found ${wrong.object}: ${wrong.problem}`);
  // Of a lost manifest that nothing names, nothing is known.
  const isVisible = [...broken].some((key) => !world.lost.has(key));
  if (isVisible && findings.length === 0) throw new PropertyFailure('verify found no damage');
}
