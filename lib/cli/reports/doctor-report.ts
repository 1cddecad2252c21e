/** What `doctor.ts` shows: a line for each finding, and below them what to mend first. */
import { formatCount } from '../../core/units.ts';
import type { Diagnosis, Verdict } from '../../stage/watch/doctor/check.ts';
import { formatTable } from './table.ts';

const marks: Readonly<Record<Verdict, string>> = { fine: '✓', doubtful: '!', broken: '✗', skipped: '–' };

/** The report as text and as a document, and whether anything is broken. */
export function doctorReport(
  found: readonly Diagnosis[],
  width?: number,
): { readonly text: string; readonly json: unknown; readonly isBroken: boolean } {
  const count = (verdict: Verdict) => found.filter((each) => each.verdict === verdict).length;
  const rows = found.map(({ check, verdict, says, cure }) => [
    marks[verdict],
    check,
    cure === undefined ? says : `${says}; ${cure}`,
  ]);
  const [broken, doubtful] = [count('broken'), count('doubtful')];
  const summary =
    broken > 0
      ? `${formatCount(broken, 'problem')}${doubtful > 0 ? ` and ${formatCount(doubtful, 'warning')}` : ''}: mend what has ✗, and run make doctor again`
      : doubtful > 0
        ? `nothing is broken; ${formatCount(doubtful, 'warning')}`
        : 'nothing is broken';
  return {
    text: `${formatTable(['', 'CHECK', 'FOUND'], rows, width)}\n\n${summary}`,
    json: {
      checks: found.map(({ check, verdict, says, cure }) => ({ check, verdict, says, cure: cure ?? null })),
      broken,
      doubtful,
    },
    isBroken: broken > 0,
  };
}
