/** Restores in the middle of a history, on the filesystem that the backups are of, and what people do with what was restored. */
import { mkdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { FaultRule } from '../../../testing/s3-server/faults/fault-rules.ts';
import { brokenPoints, manifestsIn } from './bucket-view.ts';
import { restoreAndCompare } from './check-points.ts';
import { btrfs, isReadOnly, setReadOnly } from './commands.ts';
import { chance, choose } from './edit.ts';
import type { HistoryWorld } from './history-world.ts';
import { type Action, PropertyFailure, type Steps } from './step.ts';

type Random = Parameters<Action>[1];

const faults = [
  { fault: 'corrupt', next: 1 },
  { fault: 'truncate', bytes: 100, next: 1 },
  { fault: 'reset-before', next: 2 },
  { fault: 'lost-response', next: 1 },
  { fault: 'error', code: 'SlowDown', next: 1 },
] as const satisfies readonly FaultRule[];

/** Restores one of the points beside the live subvolume; undefined when there is none, or it is damaged. */
async function restoreHere(world: HistoryWorld, random: Random): Promise<string | undefined> {
  const manifests = await manifestsIn(world);
  const broken = await brokenPoints(world, world.lost);
  const key = choose(random, [...manifests.keys()].sort());
  const manifest = key === undefined ? undefined : manifests.get(key);
  if (key === undefined || !manifest) return undefined;
  const truth = world.uploaded.get(`${manifest.snapshot.uuid} ${manifest.created_at}`);
  if (!truth) throw new PropertyFailure(`${key} is in the bucket, but was never uploaded`);
  const fault = chance(random, 30) ? choose(random, faults) : undefined;
  if (fault) world.ground.server.faults.set([{ ...fault, operation: 'GetObject', key: '*.bin' }]);
  const isBroken = broken.has(key);
  const directory = join(dirname(world.live), 'restored');
  await mkdir(directory, { recursive: true });
  const target = join(directory, `restored-${++world.counters.names}`);
  const outcome = await restoreAndCompare(world, { key, truth, isBroken }, target);
  world.ground.server.faults.clear();
  world.tally.count('restores', 'in the middle of a history');
  if ('restored' in outcome) return target;
  if (!isBroken && !fault)
    throw new PropertyFailure(`restore of ${key} beside its source failed: ${outcome.refused}`);
  return undefined;
}

const restore: Action = async (world, random) => {
  const target = await restoreHere(world, random);
  return target && `make restore TARGET=${basename(target)}`;
};

/** After a bad day: what was restored takes the place of what was there. */
const restoreToLive: Action = async (world, random) => {
  const target = await restoreHere(world, random);
  if (target === undefined) return undefined;
  if (await isReadOnly(world.live)) await setReadOnly(world.live, false);
  await rename(world.live, join(dirname(world.live), `old-${++world.counters.names}`));
  await rename(target, world.live);
  return 'make restore, and mv TARGET to live';
};

/** What was restored is kept among the snapshots. */
const restoreToSnapshots: Action = async (world, random) => {
  const target = await restoreHere(world, random);
  if (target === undefined || world.mode === 'received') return undefined;
  const path = join(world.snapshots, basename(target));
  await btrfs('subvolume', 'snapshot', '-r', target, path);
  return `make restore, and btrfs subvolume snapshot -r TARGET snapshots/${basename(path)}`;
};

/** The steps, by name. */
export const restoreSteps = {
  restore: { action: restore, weight: 2 },
  'restore-to-live': { action: restoreToLive, weight: 2 },
  'restore-to-snapshots': { action: restoreToSnapshots, weight: 1 },
} as const satisfies Steps;
