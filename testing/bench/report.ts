/** What was measured, as a table. */
import { formatTable } from '../../lib/cli/reports/table.ts';
import { formatSize } from '../../lib/core/units.ts';
import type { Result } from './contest.ts';
import { type Summary, summarise } from './measure/statistics.ts';

/** One direction of one data set. */
export interface Comparison {
  readonly set: string;
  readonly direction: 'upload' | 'restore';
  readonly streamBytes: number;
  readonly results: readonly Result[];
}

const heading = ['MiB/s', 'SLOWEST', 'FASTEST', 'SPEED', 'PASSING', 'CPU-s/GiB', 'CPU', 'MEMORY'];

/** A result with its numbers, and with how the tool compares to it: above 1, the tool is faster, or takes more processor time. */
export interface Line {
  readonly name: string;
  readonly summary: Summary;
  readonly speedRatio: number;
  readonly cpuRatio: number;
}

/** The lines of a comparison. @throws when the tool is not in it */
export function linesOf({ results, streamBytes }: Comparison): readonly Line[] {
  const summaries = results.map(({ name, role, runs }) => ({
    name,
    role,
    summary: summarise(runs, streamBytes),
  }));
  const tool = summaries.find(({ role }) => role === 'tool')?.summary;
  if (!tool) throw new Error('the tool is not among the candidates');
  return summaries.map(({ name, summary }) => ({
    name,
    summary,
    speedRatio: tool.mibPerSecond / summary.mibPerSecond,
    cpuRatio: tool.cpuSecondsPerGib / summary.cpuSecondsPerGib,
  }));
}

/** The table of a comparison. SPEED and CPU say how the tool compares to the line. */
export function formatComparison(comparison: Comparison): string {
  const title = `${comparison.direction.toUpperCase()} ${comparison.set}, ${formatSize(comparison.streamBytes)}`;
  const rows = linesOf(comparison).map(({ name, summary, speedRatio, cpuRatio }) => [
    name,
    summary.mibPerSecond.toFixed(0),
    ...summary.range.map((speed) => speed.toFixed(0)),
    speedRatio.toFixed(2),
    summary.passingMibPerSecond?.toFixed(0) ?? '',
    summary.cpuSecondsPerGib.toFixed(2),
    cpuRatio.toFixed(2),
    formatSize(summary.peakBytes),
  ]);
  return formatTable([title, ...heading], rows);
}
