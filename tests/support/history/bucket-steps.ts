/** Damage in the bucket, and the loss of what is local. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { chance, choose } from './edit.ts';
import type { HistoryWorld } from './history-world.ts';
import type { Action, Steps } from './step.ts';

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

/** The steps, by name. */
export const bucketSteps = {
  'lose-chunk': { action: loseChunk, weight: 2 },
  'lose-manifest': { action: loseManifest, weight: 1 },
  'lose-run-files': { action: loseRunFiles, weight: 2 },
} as const satisfies Steps;
