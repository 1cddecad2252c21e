/**
 * What S3 charges, in dollars. A GB of the price list is 2^30 bytes, and a month has 30 days (https://aws.amazon.com/s3/faqs/,
 * "How am I charged"). Undefined stands for a price that is not known. Left out, since chunks are large: the 40 KB that AWS adds to each archived object.
 */
import { archiveOf, type ThawTier } from '../thaw/archive-classes.ts';
import { GIB } from '../units.ts';
import type { RegionPrices } from './price-file.ts';

const daysOfMonth = 30;

/** Storing bytes, by storage class, for a month. */
export function storageCost(
  bytesByClass: Readonly<Record<string, number>>,
  prices: RegionPrices | undefined,
): number | undefined {
  let sum = 0;
  for (const [name, bytes] of Object.entries(bytesByClass)) {
    const rate = prices?.classes[name]?.storage_gib_month;
    if (rate === undefined) return undefined;
    sum += (bytes / GIB) * rate;
  }
  return sum;
}

/** The requests of an upload. */
export interface UploadCounts {
  /** Chunks that are a single part, and go up by one PutObject. */
  readonly wholeChunks: number;
  /** Chunks of several parts, and their parts. */
  readonly partedChunks: number;
  readonly parts: number;
}

/**
 * The requests of an upload. Of a multipart upload to an archive class AWS charges beginning and parts as requests to STANDARD, and the
 * completion as a request to the class (https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html, "Multipart upload and pricing").
 */
export function uploadCost(
  { wholeChunks, partedChunks, parts }: UploadCounts,
  storageClass: string,
  prices: RegionPrices | undefined,
): number | undefined {
  const own = prices?.classes[storageClass]?.put_per_1000;
  const ofParts = archiveOf(storageClass) ? prices?.classes.STANDARD?.put_per_1000 : own;
  if (own === undefined || ofParts === undefined) return undefined;
  return ((wholeChunks + partedChunks) * own + (partedChunks + parts) * ofParts) / 1000;
}

/** What is charged at least for storing bytes, however soon they are deleted. @param minimumDays of their class */
export function minimumCost(
  bytes: number,
  storageClass: string,
  minimumDays: number,
  prices: RegionPrices | undefined,
): number | undefined {
  const monthly = storageCost({ [storageClass]: bytes }, prices);
  return monthly === undefined ? undefined : (monthly * minimumDays) / daysOfMonth;
}

/** What a restore reads. */
export interface RestoreVolume {
  readonly bytes: number;
  /** Objects to thaw. */
  readonly chunks: number;
  /** Ranges to fetch. */
  readonly parts: number;
  /** Days that the thawed copies stay. */
  readonly days: number;
}

/** The sums of a restore. */
export interface RestoreCost {
  readonly retrieval: number;
  /** Thawed copies, which are stored in STANDARD. */
  readonly copies: number;
  readonly requests: number;
  /** Out to the internet; undefined where its price is not known. */
  readonly transfer: number | undefined;
}

/** A restore in a tier; undefined where the class has no such tier, or no price of it is known. */
export function restoreCost(
  { bytes, chunks, parts, days }: RestoreVolume,
  storageClass: string,
  tier: ThawTier,
  prices: RegionPrices | undefined,
): RestoreCost | undefined {
  const own = prices?.classes[storageClass];
  if (own?.get_per_1000 === undefined) return undefined;
  const isArchived = archiveOf(storageClass) !== undefined;
  const free = own.retrieval === undefined && tier === 'Standard' ? { per_gib: 0, per_1000: 0 } : undefined;
  const rate = own.retrieval?.[tier] ?? free;
  const standard = prices?.classes.STANDARD?.storage_gib_month;
  if (!rate || (isArchived && standard === undefined)) return undefined;
  const gib = bytes / GIB;
  return {
    retrieval: gib * rate.per_gib + (isArchived ? (chunks * rate.per_1000) / 1000 : 0),
    copies: isArchived ? (gib * (standard ?? 0) * days) / daysOfMonth : 0,
    requests: (parts * own.get_per_1000) / 1000,
    transfer: transferCost(bytes, prices),
  };
}

/** Bytes that leave for the internet within a month, with the free ones taken off. */
export function transferCost(bytes: number, prices: RegionPrices | undefined): number | undefined {
  const out = prices?.transfer_out;
  if (!out) return undefined;
  let left = Math.max(0, bytes / GIB - out.free_gib_per_month);
  let [sum, from] = [0, 0];
  for (const { up_to_gib = Number.POSITIVE_INFINITY, price } of out.per_gib) {
    const here = Math.min(left, up_to_gib - from);
    sum += here * price;
    left -= here;
    from = up_to_gib;
  }
  return sum;
}

/** Dollars for people: two digits, or as many as a small sum needs to be seen. */
export function formatDollars(dollars: number): string {
  if (dollars >= 0.1 || dollars === 0) return `$${dollars.toFixed(2)}`;
  return dollars < 0.0001 ? 'less than $0.0001' : `$${dollars.toPrecision(2).replace(/0+$/, '')}`;
}
