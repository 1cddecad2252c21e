/** What a backup will take, cost, and add: sums over an estimate of its size and over what the bucket has. Pure. */

import { countObjects, type ObjectCount } from '../plan/object-count.ts';
import { minimumDaysOf } from '../plan/prune/minimum-duration.ts';
import type { Layout } from '../stream/part-sizes.ts';
import { archiveOf, type ThawTier, thawTiers, thawTime } from '../thaw/archive-classes.ts';
import { daysToAsk, transferMs } from '../thaw/thaw-plan.ts';
import { DAY_MS } from '../units.ts';
import { minimumCost, type RestoreCost, restoreCost, storageCost, uploadCost } from './costs.ts';
import type { RegionPrices } from './price-file.ts';

/** What is known of a backup that is to be made. */
export interface ForecastInput {
  readonly bytes: number;
  readonly layout: Layout;
  readonly storageClass: string;
  /** Of the upload, in bytes a second; undefined where it is not known. */
  readonly uploadRate: number | undefined;
  readonly prices: RegionPrices | undefined;
}

/** The upload. Money is in dollars, undefined where a price is not known. */
export interface Forecast {
  readonly objects: ObjectCount;
  readonly requests: number;
  readonly seconds: number | undefined;
  readonly dollarsPerMonth: number | undefined;
  readonly uploadDollars: number | undefined;
  readonly minimumDays: number;
  readonly minimumDollars: number | undefined;
}

/** Of the upload of one backup. */
export function forecast({ bytes, layout, storageClass, uploadRate, prices }: ForecastInput): Forecast {
  const objects = countObjects(bytes, layout);
  const minimumDays = minimumDaysOf(storageClass);
  return {
    objects,
    requests: objects.wholeChunks + 2 * objects.partedChunks + objects.parts,
    seconds: uploadRate === undefined ? undefined : bytes / uploadRate,
    dollarsPerMonth: storageCost({ [storageClass]: bytes }, prices),
    uploadDollars: uploadCost(objects, storageClass, prices),
    minimumDays,
    minimumDollars: minimumCost(bytes, storageClass, minimumDays, prices),
  };
}

/** The backups of a subvolume, for how fast they grow. */
export interface GrowthInput {
  /** The chain: bytes of its full backup and of its increments, the next one included if it is one. */
  readonly fullBytes: number;
  readonly incrementBytes: number;
  /** Since the full backup, in days. */
  readonly days: number;
  readonly fullEverySeconds: number;
}

const daysOfYear = 365;

/** Bytes that a year adds at the present rate, full backups included; undefined where there is no increment to judge by. */
export function growthOfYear({
  fullBytes,
  incrementBytes,
  days,
  fullEverySeconds,
}: GrowthInput): number | undefined {
  // Less than a day says nothing of a year.
  if (incrementBytes === 0 || days < 1) return undefined;
  const fulls = daysOfYear / (fullEverySeconds / 86_400);
  return (incrementBytes / days) * daysOfYear + fullBytes * fulls;
}

/** A restore of a whole chain, in one tier. */
export interface RestoreForecast {
  readonly tier: ThawTier;
  /** At worst, for the thaw; 0 where there is none. */
  readonly thawSeconds: number;
  readonly transferSeconds: number;
  readonly cost: RestoreCost | undefined;
}

/** What is restored, and how. */
export interface RestoreInput {
  readonly bytes: number;
  readonly chunks: number;
  readonly parts: number;
  readonly storageClass: string;
  /** RESTORE_RATE and RESTORE_DAYS. */
  readonly bytesPerSecond: number;
  readonly leastDays: number;
  readonly prices: RegionPrices | undefined;
}

/** One for each tier that the class has, from cheap to dear. */
export function forecastRestores(input: RestoreInput): readonly RestoreForecast[] {
  const { bytes, storageClass, bytesPerSecond, leastDays, prices } = input;
  const archive = archiveOf(storageClass);
  const neededMs = transferMs(bytes, bytesPerSecond);
  const volume = { ...input, days: daysToAsk(neededMs, leastDays) };
  const tiers: readonly ThawTier[] = archive
    ? thawTiers.toReversed().filter((tier) => thawTime(archive, tier) !== undefined)
    : ['Standard'];
  return tiers.map((tier) => ({
    tier,
    thawSeconds: archive ? (thawTime(archive, tier)?.[1] ?? 0) : 0,
    transferSeconds: neededMs / 1000,
    cost: restoreCost(volume, storageClass, tier, prices),
  }));
}

/** Days between two moments in milliseconds since 1970. */
export function daysBetween(fromMs: number, toMs: number): number {
  return (toMs - fromMs) / DAY_MS;
}
