/** How fast the last upload was, by what the bucket says of it. */
import { MIB } from '../../../core/units.ts';
import { REQUESTS_AT_ONCE, readForOverview } from '../../bucket/backups.ts';
import type { ListedBackup } from '../../bucket/list.ts';
import type { StageContext } from '../../context.ts';

/** A small upload says more of the time that requests take than of the line. */
const leastBytes = 32 * MIB;

/** Bytes a second. */
export interface UploadRate {
  readonly bytesPerSecond: number;
  /** Where it is from, as a clause. */
  readonly of: string;
}

/**
 * The rate of the newest backup that was large enough, from planning to the end of its upload; undefined where there is none.
 * @param backups those that are listed, of all subvolumes
 */
export async function lastRate(
  { bucket }: StageContext,
  backups: readonly ListedBackup[],
): Promise<UploadRate | undefined> {
  const newestFirst = backups
    .filter(({ bytes, problem }) => bytes >= leastBytes && problem === undefined)
    .toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1));
  for (const { manifest_key, created_at } of newestFirst.slice(0, REQUESTS_AT_ONCE)) {
    const manifest = await readForOverview(bucket, manifest_key);
    if ('unusable' in manifest || !manifest.timing) continue;
    const { started_at, finished_at } = manifest.timing;
    const seconds = (Date.parse(finished_at) - Date.parse(started_at)) / 1000;
    if (seconds > 0)
      return { bytesPerSecond: manifest.total_bytes / seconds, of: `the backup of ${created_at}` };
  }
  return undefined;
}
