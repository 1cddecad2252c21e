/** What `drill.ts` prints: what was drilled and found, what is not due, and what a dry run would do. */
import { describeError, type ToolError } from '../../core/errors.ts';
import { readableTimestamp } from '../../core/format/names.ts';
import { formatCount, formatDuration, formatSize } from '../../core/units.ts';
import type { DrillOutcome } from '../../stage/watch/drill/drill.ts';
import type { DrillResult } from '../../stage/watch/drill/drills.ts';
import { scratchPlanJson, scratchPlanLines } from './scratch-report.ts';

/** The report on all drills of a run. */
export function drillReport(results: readonly DrillResult[]): {
  readonly lines: readonly string[];
  readonly json: unknown;
  readonly failures: readonly ToolError[];
} {
  if (results.length === 0) {
    return { lines: ['nothing is due: DRILL=off'], json: { drills: [] }, failures: [] };
  }
  return {
    lines: results.flatMap(linesOf),
    json: { drills: results.map(jsonOf) },
    failures: results.flatMap((result) => failureOf(result) ?? []),
  };
}

function linesOf(result: DrillResult): readonly string[] {
  switch (result.did) {
    case 'nothing': {
      const { at, failures } = result.next;
      const after = failures > 0 ? `the last ${formatCount(failures, 'drill')} failed; ` : '';
      return [`${result.subvolume}: ${after}next drill due ${at}`];
    }
    case 'leave':
      return [`${result.subvolume}: nothing is due, as ${result.why}`];
    case 'plan':
      return scratchPlanLines(result.plan);
    case 'drill':
      return outcomeLines(result.outcome);
    case 'fail':
      // The log says why.
      return [];
  }
}

function outcomeLines({ key, record }: DrillOutcome): readonly string[] {
  const { subvolume, created_at, backups, bytes, result, proofs, started_at, finished_at } = record;
  const seconds = (Date.parse(finished_at ?? started_at) - Date.parse(started_at)) / 1000;
  const verdict = result === 'sound' ? 'sound' : result === 'damaged' ? 'DAMAGED' : 'failed';
  return [
    `${verdict}: ${subvolume} as of ${readableTimestamp(created_at)}, ${formatCount(backups, 'backup')}, ${formatSize(bytes)} in ${formatDuration(seconds)}`,
    ...proofs.map((proof) => `  ${proof}`),
    `  recorded in ${key}`,
  ];
}

function failureOf(result: DrillResult): ToolError | undefined {
  if (result.did === 'fail') return result.failure;
  return result.did === 'drill' ? result.outcome.failure : undefined;
}

function jsonOf(result: DrillResult) {
  const { subvolume } = result;
  switch (result.did) {
    case 'nothing':
      return { subvolume, next_due_at: result.next.at };
    case 'leave':
      return { subvolume, under_way: result.why };
    case 'plan':
      return scratchPlanJson(result.plan);
    case 'drill':
      return { key: result.outcome.key, ...result.outcome.record };
    case 'fail':
      return { subvolume, problem: describeError(result.failure) };
  }
}
