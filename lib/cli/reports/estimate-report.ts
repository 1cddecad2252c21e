/** What `estimate.ts` prints: what the next backups take and cost, in 80 columns, or a document. */
import { formatDollars } from '../../core/prices/costs.ts';
import type { RestoreForecast } from '../../core/prices/forecast.ts';
import type { RegionPrices } from '../../core/prices/price-file.ts';
import { printable } from '../../core/printable.ts';
import { formatCount, formatDuration, formatSize } from '../../core/units.ts';
import type { BackupEstimate } from '../../stage/watch/estimate/estimate.ts';
import type { UploadRate } from '../../stage/watch/estimate/last-rate.ts';
import { labelled } from './labelled.ts';

/** Where the backups go, and what estimates are made with. */
export interface EstimatePlace {
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  readonly storageClass: string;
  readonly isEncoded: boolean;
  readonly rate: UploadRate | undefined;
  readonly prices: RegionPrices | undefined;
}

type Named = readonly (readonly [name: string, estimate: BackupEstimate | undefined])[];

/** The text. */
export function estimateText(estimates: Named, place: EstimatePlace): string {
  const { prices, region } = place;
  const priced = prices
    ? `prices of ${region}, ${prices.date}: ${prices.source}`
    : `no prices are known for this server and its region ${region}: name a file with PRICES=`;
  return [...estimates.map(([name, estimate]) => blockOf(name, estimate, place).join('\n')), priced].join(
    '\n\n',
  );
}

function blockOf(
  name: string,
  estimate: BackupEstimate | undefined,
  place: EstimatePlace,
): readonly string[] {
  if (!estimate) return [`${name}: nothing to send`];
  const { kind, reason, size, forecast, chain, growth, restores } = estimate;
  const { objects, seconds, minimumDays } = forecast;
  const lines = [...labelled('', printable(`${name}: ${kind}: ${reason}`), 0)];
  const say = (label: string, text: string) => lines.push(...labelled(label, text));
  say('stream', sizeText(size, place.isEncoded));
  const chunks = objects.wholeChunks + objects.partedChunks;
  say(
    'objects',
    `${formatCount(chunks, 'chunk')}, ${formatCount(objects.parts + objects.wholeChunks, 'part')}; ${formatCount(forecast.requests, 'request')}: ${money(forecast.uploadDollars)}`,
  );
  say(
    'to',
    printable(`s3://${place.bucket}/${place.prefix}/subvol/${name}/${kind}/ (${place.storageClass})`),
  );
  say(
    'takes',
    seconds === undefined || !place.rate
      ? 'not known before the first large backup; name a rate: RATE=20Mbit'
      : `${formatDuration(seconds)} at ${formatSize(Math.round(place.rate.bytesPerSecond))}/s, ${place.rate.of}`,
  );
  say('adds', monthly(forecast.dollarsPerMonth));
  if (minimumDays > 0)
    say(
      'at least',
      `${money(forecast.minimumDollars)}: ${minimumDays} days are charged, however soon it is deleted`,
    );
  say(
    'growth',
    growth
      ? `${formatSize(Math.round(growth.bytes))} a year, nothing pruned: ${monthly(growth.dollarsPerMonth)}`
      : 'not known before there are increments of more than a day',
  );
  say('restore', `${formatCount(chain.backups, 'backup')}, ${formatSize(chain.bytes)}`);
  for (const restore of restores) say(`  ${restore.tier}`, restoreText(restore));
  return lines;
}

/** How large a stream is, and how sure that is. */
export function sizeText({ bytes, how, isCompressed }: BackupEstimate['size'], isEncoded: boolean): string {
  const about = how === 'guessed' || isCompressed ? 'about ' : '';
  const before = isEncoded ? ', before COMPRESS and ENCRYPT_TO' : '';
  return `${about}${formatSize(bytes)}${before}`;
}

function restoreText({ thawSeconds, transferSeconds, cost }: RestoreForecast): string {
  const thaw = thawSeconds === 0 ? '' : `${formatDuration(thawSeconds)} thaw + `;
  const time = `${thaw}${formatDuration(transferSeconds)} transfer`;
  if (!cost) return `${time}, ${money(undefined)}`;
  const { retrieval, copies, requests, transfer } = cost;
  const own = `${money(retrieval + copies + requests)} + transfer ${money(transfer)}`;
  return `${time}: ${own}`;
}

/** A sum, or that it is not known. */
export function money(dollars: number | undefined): string {
  return dollars === undefined ? 'price not known' : formatDollars(dollars);
}

function monthly(dollars: number | undefined): string {
  return dollars === undefined ? money(undefined) : `${money(dollars)} a month`;
}

/** The document, whose fields docs/json.md names. @param failed names of those that could not be estimated */
export function estimateJson(estimates: Named, failed: readonly string[], place: EstimatePlace): unknown {
  const { bucket, prefix, region, storageClass, rate, prices } = place;
  return {
    bucket,
    prefix,
    region,
    storage_class: storageClass,
    bytes_per_second: rate?.bytesPerSecond ?? null,
    prices: prices ? { date: prices.date, source: prices.source } : null,
    subvolumes: estimates.map(([name, estimate]) => ({ name, ...(estimate && estimateFields(estimate)) })),
    failed,
  };
}

function estimateFields({ kind, reason, size, forecast, chain, growth, restores }: BackupEstimate) {
  const { objects } = forecast;
  return {
    kind,
    reason,
    bytes: size.bytes,
    exact: size.how === 'measured' && !size.isCompressed,
    chunks: objects.wholeChunks + objects.partedChunks,
    parts: objects.wholeChunks + objects.parts,
    requests: forecast.requests,
    seconds: forecast.seconds ?? null,
    upload_dollars: forecast.uploadDollars ?? null,
    dollars_per_month: forecast.dollarsPerMonth ?? null,
    minimum_days: forecast.minimumDays,
    minimum_dollars: forecast.minimumDollars ?? null,
    chain,
    growth_bytes_per_year: growth?.bytes ?? null,
    restores: restores.map(({ tier, thawSeconds, transferSeconds, cost }) => ({
      tier,
      thaw_seconds: thawSeconds,
      transfer_seconds: transferSeconds,
      dollars: cost ? cost.retrieval + cost.copies + cost.requests : null,
      transfer_dollars: cost?.transfer ?? null,
    })),
  };
}
