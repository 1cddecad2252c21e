/** What the scripts of a backup print: the plan, and what was published. */
import { printable } from '../../core/printable.ts';
import { formatCount, formatDuration, formatSize } from '../../core/units.ts';
import type { NothingDue } from '../../stage/backup/plan-if-due.ts';
import type { PublishOutcome } from '../../stage/backup/publish/publish.ts';
import type { PreparedBackup } from '../../stage/backup/snapshot.ts';
import { formatTable } from './table.ts';

type Named<Result> = readonly (readonly [name: string, result: Result])[];

/**
 * The plan, in lines: of each subvolume what is done and why, and the snapshot that will be sent.
 * @param below what else is said of one
 * @param memoryBytes the most that sending it takes; undefined where nothing is said of it
 */
export function planLines(
  plans: Named<PreparedBackup | NothingDue>,
  memoryBytes: number | undefined,
  below: (name: string) => readonly string[] = () => [],
): readonly string[] {
  const lines: string[] = [];
  let isDryRun = false;
  for (const [name, plan] of plans) {
    if ('next' in plan) lines.push(nothingDueText(name, plan));
    else if (plan.kind === 'none') lines.push(printable(`${name}: nothing to do: ${plan.reason}`));
    else {
      lines.push(printable(`${name}: ${plan.kind}: ${plan.reason}`));
      if (plan.snapshotPath !== undefined) lines.push(printable(`  snapshot ${plan.snapshotPath}`));
      else isDryRun = true;
      lines.push(...below(name));
    }
  }
  const isSent = plans.some(([, plan]) => 'kind' in plan && plan.kind !== 'none');
  if (isSent && memoryBytes !== undefined) lines.push(`memory: up to ${formatSize(memoryBytes)}`);
  return isDryRun ? [...lines, 'dry run: no snapshot was taken, and nothing is uploaded'] : lines;
}

function nothingDueText(name: string, { next, reason }: NothingDue): string {
  const when = next.due_at.replace('T', ' ').replace(/:\d\dZ$/, ' UTC');
  return printable(`${name}: next ${next.kind} due ${when}; ${reason}`);
}

/** What was published, a line for each subvolume; nothing where there is nothing. */
export function publishedLines(published: Named<PublishOutcome>): readonly string[] {
  const rows = published.map(([name, { manifestKey, manifest, chainLength, seconds }]) => [
    name,
    manifest.kind,
    formatSize(manifest.total_bytes),
    formatDuration(seconds),
    `${formatSize(Math.round(manifest.total_bytes / Math.max(1, seconds)))}/s`,
    chainLength === undefined ? 'not known' : formatCount(chainLength, 'backup'),
    manifestKey,
  ]);
  return rows.length > 0 ? [formatTable(publishedColumns, rows)] : [];
}

const publishedColumns = [
  'PUBLISHED',
  'KIND',
  'SIZE',
  'TOOK',
  { title: 'RATE', leaveOut: 1 },
  'CHAIN',
  { title: 'MANIFEST', leaveOut: 2 },
];

/** A plan as it stands in the JSON document. */
export function planJson(plan: PreparedBackup | NothingDue): object {
  if ('next' in plan) return plan;
  const { origin: _, snapshotPath = null, ...shown } = plan;
  return { ...shown, snapshotPath };
}

/** A published backup as it stands in the JSON document. */
export function publishedJson([
  name,
  { manifestKey, manifest, chainLength, seconds, thinned },
]: Named<PublishOutcome>[number]) {
  return {
    name,
    kind: manifest.kind,
    bytes: manifest.total_bytes,
    chunks: manifest.chunks.length,
    manifest_key: manifestKey,
    chain_length: chainLength ?? null,
    seconds,
    thinned,
  };
}
