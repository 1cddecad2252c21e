/** What planned backups will send, take and cost: for the plan of a dry run, so nothing is changed. */
import { ToolError } from '../../../core/errors.ts';
import { type Forecast, forecast } from '../../../core/prices/forecast.ts';
import { chooseLayout } from '../../../core/stream/part-sizes.ts';
import { readPrices } from '../../../edge/files/price-files.ts';
import type { NothingDue } from '../../backup/plan-if-due.ts';
import type { PreparedBackup } from '../../backup/snapshot.ts';
import { listBackups } from '../../bucket/list.ts';
import type { StageContext } from '../../context.ts';
import { guessSize, measureSize, type SizeEstimate } from './estimate-size.ts';
import { lastRate, type UploadRate } from './last-rate.ts';

/** What is said of one. */
export interface PlannedUpload {
  readonly size: SizeEstimate;
  readonly forecast: Forecast;
  readonly rate: UploadRate | undefined;
}

/**
 * Looks at each that would be sent. One that cannot be estimated is left out with a warning: the plan itself stands.
 * @param given a rate that the user expects; otherwise it is that of the last large backup
 */
export async function forecastPlans(
  context: StageContext,
  plans: readonly (readonly [name: string, plan: PreparedBackup | NothingDue])[],
  given: UploadRate | undefined,
): Promise<ReadonlyMap<string, PlannedUpload>> {
  const { settings, bucket, log, signal } = context;
  const found = new Map<string, PlannedUpload>();
  const sent = plans.flatMap(([name, plan]) =>
    'kind' in plan && plan.kind !== 'none' && plan.origin ? [{ name, origin: plan.origin }] : [],
  );
  if (sent.length === 0) return found;
  const prices = await readPrices(settings.PRICES, bucket);
  const rate = given ?? (await lastRate(context, await listBackups(context)));
  const layout = chooseLayout(settings.CHUNK_SIZE, settings.PART_SIZE);
  const storageClass = settings.STORAGE_CLASS_CHUNKS;
  for (const { name, origin } of sent) {
    try {
      const size = await (origin.toTake ? guessSize(context, origin) : measureSize(context, name, origin));
      const uploadRate = rate?.bytesPerSecond;
      const made = forecast({ bytes: size.bytes, layout, storageClass, uploadRate, prices });
      found.set(name, { size, forecast: made, rate });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ToolError)) throw error;
      log.warn(`${name}: its size cannot be estimated: ${error.message}`);
    }
  }
  return found;
}
