/**
 * What S3 charges for an object that is removed before its storage class's minimum duration is over: as if it had stayed
 * (https://aws.amazon.com/s3/storage-classes/, "minimum storage duration charge").
 */
import type { ListedObject } from '../../format/inventory.ts';
import { DAY_MS, GIB } from '../../units.ts';

const minimumDays: Readonly<Record<string, number>> = {
  STANDARD_IA: 30,
  ONEZONE_IA: 30,
  GLACIER_IR: 90,
  GLACIER: 90,
  DEEP_ARCHIVE: 180,
};

/** Days that an object of a storage class is charged for at least; 0 for most. */
export function minimumDaysOf(storageClass: string): number {
  return minimumDays[storageClass] ?? 0;
}

const daysOfMonth = 30;

/** What is still charged for objects that are gone. */
export interface Charge {
  /** GiB times months of 30 days; what one costs stands in the price list of the storage class and region. */
  readonly gibMonths: number;
  /** Until the last of them would be free, rounded up. */
  readonly daysLeft: number;
}

/**
 * What removing these now still costs. An object for which the bucket reports no time counts as new, and so does one that was moved into
 * its class: LastModified stays then as it was, and the class's minimum begins anew.
 * @param moved keys of those.
 */
export function chargeFor(
  objects: readonly ListedObject[],
  now: Date,
  moved: ReadonlySet<string> = new Set(),
): Charge {
  let [gibMonths, daysLeft] = [0, 0];
  for (const { key, sizeBytes, storageClass, modifiedAt } of objects) {
    const since = moved.has(key) ? now : (modifiedAt ?? now);
    const ageDays = Math.max(0, now.getTime() - since.getTime()) / DAY_MS;
    const days = Math.max(0, (minimumDays[storageClass] ?? 0) - ageDays);
    gibMonths += ((sizeBytes / GIB) * days) / daysOfMonth;
    daysLeft = Math.max(daysLeft, Math.ceil(days));
  }
  return { gibMonths, daysLeft };
}
