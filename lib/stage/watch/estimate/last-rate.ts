/** How fast the last upload was: as RUN_DIR has measured it, or else by what the bucket says of it. */
import { readableTimestamp } from '../../../core/format/names.ts';
import { constantLimit } from '../../../core/rate-limit.ts';
import { MIB } from '../../../core/units.ts';
import { RunDirectory } from '../../../edge/files/run-directory.ts';
import { REQUESTS_AT_ONCE, readForOverview } from '../../bucket/backups.ts';
import type { ListedBackup } from '../../bucket/list.ts';
import type { StageContext } from '../../context.ts';

/** The newest that RUN_DIR has of any subvolume. */
async function measuredRate(
  { settings }: StageContext,
  backups: readonly ListedBackup[],
): Promise<UploadRate | undefined> {
  let newest = '';
  let rate: number | undefined;
  for (const name of new Set(backups.map(({ subvolume }) => subvolume))) {
    const published = await new RunDirectory(settings.RUN_DIR, name).readPublished();
    if (published?.upload_rate === undefined || published.published_at < newest) continue;
    newest = published.published_at;
    rate = published.upload_rate;
  }
  return rate === undefined ? undefined : { bytesPerSecond: rate, of: 'the last upload' };
}

/** A small upload says more of the time that requests take than of the line. */
const leastBytes = 32 * MIB;

/** Bytes a second. */
export interface UploadRate {
  readonly bytesPerSecond: number;
  /** Where it is from, as a clause. */
  readonly of: string;
}

/**
 * The rate of the last upload that was long enough to measure, as far as LIMIT_UPLOAD lets it; undefined where there is none. Without RUN_DIR it is that of the newest
 * large backup, from planning to the end of its upload.
 * @param backups those that are listed, of all subvolumes
 */
export async function lastRate(
  context: StageContext,
  backups: readonly ListedBackup[],
): Promise<UploadRate | undefined> {
  const rate = await unlimitedRate(context, backups);
  const limit = constantLimit(context.settings.LIMIT_UPLOAD);
  if (limit === undefined || (rate && rate.bytesPerSecond <= limit)) return rate;
  return { bytesPerSecond: limit, of: 'LIMIT_UPLOAD' };
}

async function unlimitedRate(
  context: StageContext,
  backups: readonly ListedBackup[],
): Promise<UploadRate | undefined> {
  const { bucket } = context;
  const measured = await measuredRate(context, backups);
  if (measured) return measured;
  const newestFirst = backups
    .filter(({ bytes, problem }) => bytes >= leastBytes && problem === undefined)
    .toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1));
  for (const { manifest_key, created_at } of newestFirst.slice(0, REQUESTS_AT_ONCE)) {
    const manifest = await readForOverview(bucket, manifest_key);
    if ('unusable' in manifest || !manifest.timing) continue;
    const { started_at, finished_at } = manifest.timing;
    const seconds = (Date.parse(finished_at) - Date.parse(started_at)) / 1000;
    if (seconds > 0)
      return {
        bytesPerSecond: manifest.total_bytes / seconds,
        of: `the backup of ${readableTimestamp(created_at)}`,
      };
  }
  return undefined;
}
