/** What `thaw.ts` prints: how far a thaw is, and what an export holds. */

import type { StoredManifest } from '../../core/format/manifest.ts';
import { formatTimestamp, readableTimestamp } from '../../core/format/names.ts';
import type { ThawTier } from '../../core/thaw/archive-classes.ts';
import { describeReadyTime, readyTime } from '../../core/thaw/ready-time.ts';
import { formatCount, formatSize } from '../../core/units.ts';
import type { ExportOutcome } from '../../stage/restore/export-thaw.ts';
import type { ThawOutcome } from '../../stage/restore/thaw.ts';
import { describeHurry } from '../../stage/restore/thaw-asked.ts';
import { formatTable } from './table.ts';

/** The report on the thaw of a chain: what there is, what was requested, and when all can be read. */
export function thawReport(
  chain: readonly StoredManifest[],
  { tier, days }: { readonly tier: ThawTier; readonly days: number },
  { progress, requested, hurried, unhurried }: ThawOutcome,
  { now, isDryRun }: { readonly now: Date; readonly isDryRun: boolean },
): { readonly text: string; readonly json: unknown } {
  const newest = chain.at(-1);
  const ready = readyTime(progress, tier);
  // A time of the clock only where it is known when the clock was started.
  const readyBy = ready.kind === 'known' ? new Date(now.getTime() + ready.seconds[1] * 1000) : undefined;
  const expires = progress.expiresAtMs === undefined ? undefined : new Date(progress.expiresAtMs);
  const shown = (date: Date | undefined) => (date ? readableTimestamp(formatTimestamp(date)) : '');
  const heading = [
    'CHAIN',
    { title: 'BACKUPS', leaveOut: 3 },
    'OBJECTS',
    'SIZE',
    'READABLE',
    { title: 'THAWED', leaveOut: 3 },
    'IN PROGRESS',
    'COLD',
    { title: 'EXPIRES', leaveOut: 2 },
    'READY BY',
  ];
  const cells = [
    `${newest?.manifest.subvolume} ${readableTimestamp(newest?.manifest.created_at ?? '')}`,
    String(chain.length),
    String(progress.objects),
    formatSize(progress.bytes),
    String(progress.readable),
    String(progress.thawed),
    String(progress.thawing),
    String(progress.cold),
    shown(expires),
    { now: 'now', known: shown(readyBy), unknown: 'not known', unasked: 'not requested' }[ready.kind],
  ];
  const asked = `${formatCount(requested, 'object')} (${tier}, ${days} days)`;
  const time = describeReadyTime(ready);
  const waitsFor = [...new Set(progress.waits.map(({ archive }) => archive))];
  const lines = [
    formatTable(heading, [cells]),
    isDryRun
      ? `would request ${asked}`
      : requested > 0
        ? `requested ${asked}`
        : 'nothing needed to be requested',
    ...describeHurry({ hurried, unhurried }, tier),
    ...(time === undefined ? [] : [`${waitsFor.join(', ')}: ${time}`]),
  ];
  const { expiresAtMs: _, waits: __, readableBytes, ...counts } = progress;
  const json = {
    subvolume: newest?.manifest.subvolume,
    chain: chain.map(({ key }) => key),
    ...counts,
    readable_bytes: readableBytes,
    waits_for: waitsFor,
    expires_at: expires?.toISOString() ?? null,
    ready_by: readyBy?.toISOString() ?? null,
    hurried,
    requested: isDryRun ? 0 : requested,
    would_request: isDryRun ? requested : 0,
    tier,
    days,
  };
  return { text: lines.join('\n'), json };
}

/** The line on an export. */
export function exportReport(
  path: string,
  { hosts, chains, objects, bytes, failures }: ExportOutcome,
): string {
  const what = `${formatCount(chains, 'chain')} of ${formatCount(hosts, 'host')}`;
  const without =
    failures.length > 0 ? `; ${formatCount(failures.length, 'failure')}: the list is incomplete` : '';
  return objects > 0
    ? `wrote ${path}: ${formatCount(objects, 'object')}, ${formatSize(bytes)}, of ${what}${without}`
    : `nothing has to be thawed, so ${path} is not written: ${what}${without}`;
}
