/** What a restore says when it is done. */
import { printable } from '../../core/printable.ts';
import { formatCount, formatDuration, formatSize } from '../../core/units.ts';
import type { RestoreOutcome } from '../../stage/restore/restore.ts';

/** What was restored, and where to. */
export interface RestoredSubvolume {
  readonly subvolume: string;
  readonly target: string;
  readonly outcome: RestoreOutcome;
}

/** The result as a document. */
export function restoreDocument({ subvolume, target, outcome }: RestoredSubvolume): object {
  const { bytes, proofs, missing, continued } = outcome;
  const chain = outcome.chain.map(({ key }) => key);
  return { subvolume, target, chain, bytes, proofs, missing, continued: continued ?? null };
}

/** The result in lines: what, how much and how long, then what was checked and what was not. */
export function restoreLines(
  { subvolume, target, outcome }: RestoredSubvolume,
  seconds: number,
): readonly string[] {
  const { chain, bytes, proofs, continued } = outcome;
  const size = `${formatCount(chain.length, 'backup')}, ${formatSize(bytes)} in ${formatDuration(seconds)}`;
  return [
    `restored ${subvolume} to ${printable(target)}: ${size}`,
    ...proofs.map((proof) => `  ${printable(proof)}`),
    ...(continued === undefined ? [] : [`  the next backup builds on ${printable(continued)}`]),
  ];
}
