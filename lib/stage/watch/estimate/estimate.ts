/** The next backup of a subvolume: its size, what it takes, what it costs, and what a restore of the chain will cost then. */
import { parseTimestamp } from '../../../core/format/names.ts';
import { storageCost } from '../../../core/prices/costs.ts';
import {
  daysBetween,
  type Forecast,
  forecast,
  forecastRestores,
  growthOfYear,
  type RestoreForecast,
} from '../../../core/prices/forecast.ts';
import type { RegionPrices } from '../../../core/prices/price-file.ts';
import type { SelectedSubvolume } from '../../../core/settings/rules.ts';
import { chooseLayout } from '../../../core/stream/part-sizes.ts';
import { prepareSnapshot } from '../../backup/snapshot.ts';
import type { ListedBackup } from '../../bucket/list.ts';
import type { StageContext } from '../../context.ts';
import { chainOf } from '../health/look-at-bucket.ts';
import { measureSize, type SizeEstimate } from './estimate-size.ts';
import type { UploadRate } from './last-rate.ts';

/** What estimates of several subvolumes share. */
export interface EstimateGround {
  readonly backups: readonly ListedBackup[];
  readonly prices: RegionPrices | undefined;
  readonly rate: UploadRate | undefined;
}

/** One estimate. */
export interface BackupEstimate {
  readonly kind: 'full' | 'incremental';
  readonly reason: string;
  readonly size: SizeEstimate;
  readonly forecast: Forecast;
  /** The chain with this backup. */
  readonly chain: { readonly backups: number; readonly bytes: number };
  /** Bytes that a year adds, and what storing them costs a month then; undefined where nothing tells. */
  readonly growth: { readonly bytes: number; readonly dollarsPerMonth: number | undefined } | undefined;
  readonly restores: readonly RestoreForecast[];
}

/** Estimates the next backup, due or not; undefined where there would be nothing to send. @throws ToolError */
export async function estimateBackup(
  context: StageContext,
  subvolume: SelectedSubvolume,
  { backups, prices, rate }: EstimateGround,
): Promise<BackupEstimate | undefined> {
  const { settings, now } = context;
  const prepared = await prepareSnapshot(context, subvolume, { kind: 'auto', ifDue: false, dryRun: true });
  if ('next' in prepared || prepared.kind === 'none' || !prepared.origin) return undefined;
  const { kind, reason, origin } = prepared;
  const size = await measureSize(context, subvolume.name, origin);
  const layout = chooseLayout(settings.CHUNK_SIZE, settings.PART_SIZE);
  const storageClass = settings.STORAGE_CLASS_CHUNKS;
  const uploadRate = rate?.bytesPerSecond;
  const own = forecast({ bytes: size.bytes, layout, storageClass, uploadRate, prices });
  const earlier = kind === 'full' ? [] : chainBefore(subvolume.name, backups);
  const earlierBytes = sumOf(earlier);
  const bytes = earlierBytes + size.bytes;
  const [full, ...increments] = earlier;
  const fullMs = full && parseTimestamp(full.created_at)?.getTime();
  const perYear =
    full &&
    growthOfYear({
      fullBytes: full.bytes,
      incrementBytes: sumOf(increments) + size.bytes,
      days: daysBetween(fullMs ?? now().getTime(), now().getTime()),
      fullEverySeconds: settings.FULL_EVERY,
    });
  return {
    kind,
    reason,
    size,
    forecast: own,
    chain: { backups: earlier.length + 1, bytes },
    growth:
      perYear === undefined
        ? undefined
        : { bytes: perYear, dollarsPerMonth: storageCost({ [storageClass]: perYear }, prices) },
    restores: forecastRestores({
      bytes,
      chunks:
        earlier.reduce((sum, { chunks }) => sum + chunks, 0) +
        own.objects.wholeChunks +
        own.objects.partedChunks,
      parts: Math.ceil(earlierBytes / layout.partSizeBytes) + own.objects.wholeChunks + own.objects.parts,
      storageClass,
      bytesPerSecond: settings.RESTORE_RATE,
      leastDays: settings.RESTORE_DAYS,
      prices,
    }),
  };
}

function chainBefore(name: string, backups: readonly ListedBackup[]): readonly ListedBackup[] {
  const own = backups.filter(({ subvolume }) => subvolume === name);
  const newest = own.find(({ current }) => current);
  return (newest && chainOf(newest, own)) ?? [];
}

function sumOf(backups: readonly ListedBackup[]): number {
  return backups.reduce((sum, { bytes }) => sum + bytes, 0);
}
