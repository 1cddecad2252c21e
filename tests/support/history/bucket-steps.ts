/** Damage in the bucket, and the loss of what is local. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import type { Manifest } from '../../../lib/core/format/manifest.ts';
import { applyPrune } from '../../../lib/stage/bucket/apply-prune.ts';
import { planPrunes } from '../../../lib/stage/bucket/prune.ts';
import { manifestsIn } from './bucket-view.ts';
import { chance, choose } from './edit.ts';
import type { HistoryWorld } from './history-world.ts';
import { type Action, PropertyFailure, type Steps } from './step.ts';

const monthMs = 30 * 86_400_000;

async function lose({ bucket, lost }: HistoryWorld, key: string): Promise<string> {
  await bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }));
  lost.add(key);
  return `delete ${key.slice(bucket.prefix.length + 1)} from the bucket`;
}

/** Mostly of the last chain, on which the next backup would build. */
const choosePoint = ({ points }: HistoryWorld, random: Parameters<Action>[1]) =>
  choose(random, chance(random, 70) ? points.slice(-3) : points);

const loseChunk: Action = async (world, random) => {
  const chunk = choose(random, choosePoint(world, random)?.manifest.chunks ?? []);
  return chunk && !world.lost.has(chunk.key) ? lose(world, chunk.key) : undefined;
};

const loseManifest: Action = async (world, random) => {
  const point = choosePoint(world, random);
  return point && !world.lost.has(point.key) ? lose(world, point.key) : undefined;
};

const loseRunFiles: Action = async (world) => {
  await rm(join(world.context.settings.RUN_DIR, 'data'), { recursive: true, force: true });
  return 'rm -r RUN_DIR';
};

/** A prune a month later, so that what dead runs have left goes as well. */
const prune: Action = async (world, random) => {
  const keep = 1 + random.below(3);
  const { context } = world;
  const settings = { ...context.settings, KEEP_GENERATIONS: keep };
  const later = { ...context, settings, now: () => new Date(context.now().getTime() + monthMs) };
  const before = await manifestsIn(world);
  for (const plan of (await planPrunes(later, 'data')).plans) await applyPrune(later, plan);
  const after = await manifestsIn(world);
  const gone = [...before.keys()].filter((key) => !after.has(key));
  for (const key of gone) world.pruned.add(key);
  const fulls = ({ kind }: Manifest) => kind === 'full';
  const [had, has] = [[...before.values()].filter(fulls).length, [...after.values()].filter(fulls).length];
  if (has < Math.min(keep, had)) {
    throw new PropertyFailure(`prune left ${has} of ${had} generations, although ${keep} were to be kept`);
  }
  return `make prune KEEP_GENERATIONS=${keep} APPLY=1: ${gone.length} of ${before.size} backups removed`;
};

/** The steps, by name. */
export const bucketSteps = {
  'lose-chunk': { action: loseChunk, weight: 2 },
  'lose-manifest': { action: loseManifest, weight: 1 },
  'lose-run-files': { action: loseRunFiles, weight: 2 },
  prune: { action: prune, weight: 2 },
} as const satisfies Steps;
