/** What the scripts of a backup tell: the plan, and what was published. */
import { printable } from '../../core/printable.ts';
import { formatDuration, formatSize } from '../../core/units.ts';
import type { NothingDue } from '../../stage/backup/plan-if-due.ts';
import type { PublishOutcome } from '../../stage/backup/publish.ts';
import type { PreparedBackup } from '../../stage/backup/snapshot.ts';
import { formatTable } from './table.ts';

type Named<Result> = readonly (readonly [name: string, result: Result])[];

/**
 * The plan, in lines: what is not due or not new, then a table of what is to be sent.
 * @param memoryBytes the most that sending it takes
 */
export function planLines(
  plans: Named<PreparedBackup | NothingDue>,
  memoryBytes: number | undefined,
): readonly string[] {
  const lines: string[] = [];
  const rows: string[][] = [];
  for (const [name, plan] of plans) {
    if ('next' in plan) lines.push(nothingDueText(name, plan));
    else if (plan.kind === 'none') lines.push(printable(`${name}: nothing to do: ${plan.reason}`));
    else rows.push([name, plan.kind, plan.reason, plan.snapshotPath ?? '(dry run)']);
  }
  if (rows.length === 0) return lines;
  const table = formatTable(['SUBVOLUME', 'KIND', 'WHY', 'SNAPSHOT'], rows);
  return [
    ...lines,
    table,
    ...(memoryBytes === undefined ? [] : [`memory: up to ${formatSize(memoryBytes)}`]),
  ];
}

function nothingDueText(name: string, { next, reason }: NothingDue): string {
  const when = next.due_at.replace('T', ' ').replace(/:\d\dZ$/, ' UTC');
  return printable(`${name}: next ${next.kind} due ${when}; ${reason}`);
}

/** What was published, as a table; nothing where there is nothing. */
export function publishedLines(published: Named<PublishOutcome>): readonly string[] {
  const rows = published.map(([name, { manifestKey, manifest, seconds }]) => [
    name,
    manifest.kind,
    formatSize(manifest.total_bytes),
    formatDuration(seconds),
    manifestKey,
  ]);
  return rows.length > 0 ? [formatTable(['PUBLISHED', 'KIND', 'SIZE', 'TOOK', 'MANIFEST'], rows)] : [];
}

/** A published backup as it stands in the JSON document. */
export function publishedJson([
  name,
  { manifestKey, manifest, seconds, thinned },
]: Named<PublishOutcome>[number]) {
  return {
    name,
    kind: manifest.kind,
    bytes: manifest.total_bytes,
    chunks: manifest.chunks.length,
    manifest_key: manifestKey,
    seconds,
    thinned,
  };
}
