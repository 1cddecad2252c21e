/** `rsync` as an independent judge of whether two trees are equal; nothing is ever written. */
import {
  itemizedFormat,
  parseItemizedLine,
  type TreeDifference,
} from '../../core/compare/tree-difference.ts';
import { runForRecords } from '../process/child-records.ts';

const newline = 0x0a;

/**
 * Options of every pass. `--modify-window=-1` compares nanoseconds; the second X compares `user.rsync.*` too;
 * O_NOATIME leaves access times; `-x` stays in the subvolume.
 */
const dryRun = [
  ...['--dry-run', '-aHAXXx', '--numeric-ids', '--modify-window=-1', '--open-noatime', '--from0'],
  ...['--stats', '--no-human-readable', `--out-format=${itemizedFormat}`],
];

/** One comparison: what would have to change in `to` to make it like `from`. */
export interface DryRun {
  readonly from: string;
  readonly to: string;
  readonly options: readonly string[];
  /** What rsync reads on stdin, for options that say `-`; its names end in NUL. */
  readonly input: Buffer;
  readonly signal: AbortSignal | undefined;
}

/** What rsync looked at in `from`. */
export interface DryRunCounts {
  readonly entries: number;
  readonly files: number;
}

/**
 * Runs rsync and reports each difference as it is found.
 * @throws ToolError when rsync fails, as it does when something cannot be read.
 */
export async function dryRunRsync(
  run: DryRun,
  onDifference: (difference: TreeDifference) => void,
): Promise<DryRunCounts> {
  let counts: DryRunCounts | undefined;
  const args = [...dryRun, ...run.options, '--', `${run.from}/`, `${run.to}/`];
  const command = { file: 'rsync', args, directory: '/', input: run.input, separator: newline };
  await runForRecords({ ...command, signal: run.signal }, (record) => {
    const line = record.toString('latin1');
    const difference = parseItemizedLine(line);
    if (difference !== undefined) onDifference(difference);
    const statistics = /^Number of files: (\d+)(?: \(reg: (\d+))?/.exec(line);
    if (statistics) counts = { entries: Number(statistics[1]), files: Number(statistics[2] ?? 0) };
  });
  if (counts === undefined) throw new Error('rsync ended without its statistics');
  return counts;
}

/** A path as an anchored pattern of rsync, in which a backslash escapes only if there is a wildcard (rsync(1)). */
function literalPattern(path: string): string {
  return `/${/[*?[]/.test(path) ? path.replace(/[\\*?[]/g, '\\$&') : path}`;
}

/**
 * Filter rules, for `--filter=merge -` and stdin, that hide paths of `from` (byte strings, latin1). Hidden is less
 * than excluded: whatever stands at such a path in `to` is still reported.
 */
export function hidingRules(paths: readonly string[]): Buffer {
  return Buffer.from(paths.map((path) => `H ${literalPattern(path)}\0`).join(''), 'latin1');
}
