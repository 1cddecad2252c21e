/** `rsync` as an independent judge of whether two trees are equal; nothing is ever written. */
import { type FileHandle, open } from 'node:fs/promises';
import {
  itemizedFormat,
  parseItemizedLine,
  type TreeDifference,
} from '../../core/compare/tree-difference.ts';
import { ToolError } from '../../core/errors.ts';
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
  await withShortNames([run.from, run.to], async (trees) => {
    const args = [...dryRun, ...run.options, '--', ...trees.map((tree) => `${tree}/`)];
    const command = { file: 'rsync', args, directory: '/', input: run.input, separator: newline };
    await runForRecords({ ...command, signal: run.signal }, (record) => {
      const line = record.toString('latin1');
      const difference = parseItemizedLine(line);
      if (difference !== undefined) onDifference(difference);
      const statistics = /^Number of files: (\d+)(?: \(reg: (\d+))?/.exec(line);
      if (statistics) counts = { entries: Number(statistics[1]), files: Number(statistics[2] ?? 0) };
    });
  });
  if (counts === undefined) throw new Error('rsync ended without its statistics');
  return counts;
}

/**
 * Gives a child short names of directories for as long as it runs: rsync puts the name of a tree before the paths in it, and fails
 * with exit code 23 where both are some bytes longer than 4096 (measured with 3.5.0).
 * @throws what `use` throws, with the directories' own names in what the child said
 */
async function withShortNames(
  directories: readonly string[],
  use: (names: readonly string[]) => Promise<void>,
): Promise<void> {
  const opened: FileHandle[] = [];
  const shortNames = () => opened.map(({ fd }) => `/proc/${process.pid}/fd/${fd}`);
  try {
    for (const directory of directories) opened.push(await open(directory));
    await use(shortNames());
  } catch (error) {
    if (!(error instanceof ToolError) || error.childOutput === undefined) throw error;
    const said = shortNames().reduce(
      (text, name, index) => text.replaceAll(`${name}/`, `${directories[index]}/`),
      error.childOutput,
    );
    const message = `cannot compare ${directories.join(' with ')}: ${error.message.replace(/ in \/$/, '')}`;
    throw new ToolError(message, {
      ...(error.hint && { hint: error.hint }),
      childOutput: said,
      cause: error,
    });
  } finally {
    for (const directory of opened) await directory.close();
  }
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
