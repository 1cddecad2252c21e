/** What a dry run says of each backup that would be made, beside the plan. */
import { printable } from '../../core/printable.ts';
import { formatCount, formatDuration, formatSize } from '../../core/units.ts';
import type { StageContext } from '../../stage/context.ts';
import type { PlannedUpload } from '../../stage/watch/estimate/plan-forecasts.ts';
import { money, sizeText } from './estimate-report.ts';

/** Where it would go. */
export interface PlanPlace {
  readonly bucket: string;
  readonly prefix: string;
  readonly storageClass: string;
  readonly isEncoded: boolean;
}

/** Where backups go by the settings. */
export function planPlace({ bucket, settings }: Pick<StageContext, 'bucket' | 'settings'>): PlanPlace {
  const { STORAGE_CLASS_CHUNKS: storageClass, COMPRESS, ENCRYPT_TO } = settings;
  const isEncoded = COMPRESS !== 'none' || ENCRYPT_TO.length > 0;
  return { bucket: bucket.name, prefix: bucket.prefix, storageClass, isEncoded };
}

/** Lines below the one of the plan. */
export function forecastLines(
  { size, forecast, rate }: PlannedUpload,
  { bucket, prefix, storageClass, isEncoded }: PlanPlace,
): readonly string[] {
  const { objects, seconds, minimumDays, dollarsPerMonth, uploadDollars } = forecast;
  const chunks = formatCount(objects.wholeChunks + objects.partedChunks, 'chunk');
  const parts = formatCount(objects.wholeChunks + objects.parts, 'part');
  const least = minimumDays === 0 ? '' : `, charged for ${minimumDays} days at least`;
  const time =
    seconds === undefined || !rate
      ? 'time: not known before the first large backup; name a rate: RATE=20Mbit'
      : `time: ${formatDuration(seconds)} at ${formatSize(Math.round(rate.bytesPerSecond))}/s (${rate.of})`;
  return [
    `  size: ${sizeText(size, isEncoded)}, ${chunks}, ${parts}`,
    `  to: s3://${bucket}/${prefix}/, ${storageClass}${least}`,
    `  ${time}`,
    dollarsPerMonth === undefined
      ? '  price: not known for this region and class; name a file with PRICES='
      : `  price: ${money(dollarsPerMonth)} a month more, ${money(uploadDollars)} for requests`,
  ].map(printable);
}

/** The same as it stands in the JSON document. */
export function forecastFields({ size, forecast, rate }: PlannedUpload) {
  return {
    bytes: size.bytes,
    exact: size.how === 'measured' && !size.isCompressed,
    parts: forecast.objects.wholeChunks + forecast.objects.parts,
    seconds: forecast.seconds ?? null,
    bytes_per_second: rate?.bytesPerSecond ?? null,
    dollars_per_month: forecast.dollarsPerMonth ?? null,
    upload_dollars: forecast.uploadDollars ?? null,
    minimum_days: forecast.minimumDays,
  };
}
