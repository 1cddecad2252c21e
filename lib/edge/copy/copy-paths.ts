/** `rsync` as what copies paths out of a tree: hard links between them, attributes, ACLs and holes survive. */
import { ToolError } from '../../core/errors.ts';
import { startStreamChild } from '../process/child.ts';
import { runForRecords } from '../process/child-records.ts';
import type { Capabilities } from './capabilities.ts';
import { listOf } from './path-list.ts';
import { describeSameNames } from './same-names.ts';

/** With which rsync says that it has gone on past what it could not copy, or copy in full (rsync(1), "EXIT VALUES"). */
const partialCode = 23;

/** What is copied. */
export interface CopyRequest {
  /** A directory, the top of the tree. */
  readonly from: string;
  /** A directory; below it the paths are as they are below `from`. */
  readonly to: string;
  /** Byte strings (latin1) that begin with `/`; directories with all that is in them. */
  readonly paths: readonly string[];
  readonly keeps: Capabilities;
  /** Btrfs takes properties of its own, such as compression, as attributes, and others refuse them. */
  readonly isBtrfs: boolean;
  readonly signal: AbortSignal;
}

/**
 * Copies paths, and the directories above them without what else is in those.
 * @param onBytes called with how many bytes were copied since it was called last
 * @returns what could not be copied, or not in full, as rsync says it, and what it has written over; undefined where all of it is there
 * @throws ToolError when it fails otherwise; the signal's reason when aborted
 */
export async function copyPaths(
  request: CopyRequest,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const { from, paths, keeps, signal } = request;
  const first = await runRsync(request, onBytes);
  // A directory inherits the compression property of the one above it. rsync takes it off none that it has just made, but off one that is there.
  const incomplete = request.isBtrfs ? await runRsync(request, () => undefined) : first;
  const lost = keeps.cases ? undefined : await describeSameNames(from, paths, signal);
  return incomplete === undefined || lost === undefined ? (incomplete ?? lost) : `${incomplete}\n${lost}`;
}

async function runRsync(request: CopyRequest, onBytes: (bytes: number) => void): Promise<string | undefined> {
  const { from, to, paths, signal } = request;
  const args = [...optionsFor(request), '--from0', '--files-from=-', '--', `${from}/`, `${to}/`];
  signal.throwIfAborted();
  // A kill of this process must not leave one that still writes: rsync continues without its reader (seen with 3.5.0).
  const {
    process: rsync,
    finished,
    stop: end,
  } = startStreamChild('rsync', 'setpriv', ['--pdeathsig', 'KILL', '--', 'rsync', ...args], ['pipe', 'pipe']);
  const stop = () => void end();
  signal.addEventListener('abort', stop, { once: true });
  try {
    rsync.stdin?.on('error', () => undefined).end(listOf(paths));
    let [copied, rest] = [0, ''];
    for await (const text of rsync.stdout?.setEncoding('latin1') ?? []) {
      const lines = (rest + String(text)).split(/[\r\n]/);
      rest = lines.pop() ?? '';
      const total = progressOf(lines) ?? copied;
      onBytes(total - copied);
      copied = total;
    }
    await finished;
  } catch (error) {
    signal.throwIfAborted();
    if (rsync.exitCode === partialCode && error instanceof ToolError) return error.childOutput ?? '';
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    await end();
  }
}

/** Bytes that paths take where holes take none; what is linked several times counts once. @throws ToolError */
export async function bytesOnDisk(
  tree: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const args = ['--summarize', '--total', '--block-size=1', '--null', '--files0-from=-'];
  let bytes = 0;
  const run = { file: 'du', args, directory: tree, input: listOf(paths), separator: 0, signal };
  // The last line is the total.
  await runForRecords(run, (record) => {
    bytes = Number(/^\d+/.exec(record.toString('latin1'))?.[0] ?? 0);
  });
  return bytes;
}

function optionsFor({ keeps, isBtrfs }: CopyRequest): readonly string[] {
  return [
    ...['--recursive', '--times', '--sparse', '--numeric-ids', '--no-human-readable', '--info=progress2'],
    // The second --xattrs takes user.rsync.* too.
    ...(keeps.owners
      ? ['--owner', '--group', '--perms', '--acls', '--xattrs', '--xattrs', '--devices', '--specials']
      : []),
    ...(keeps.owners && !isBtrfs ? ['--filter=-x btrfs.*'] : []),
    ...(keeps.symlinks ? ['--links'] : []),
    ...(keeps.hardLinks ? ['--hard-links'] : []),
  ];
}

/** The bytes of the last progress line, such as `  1234  12%   1.00MB/s    0:00:01`; undefined where none of the lines is one. */
function progressOf(lines: readonly string[]): number | undefined {
  const found = lines.flatMap((line) => /^ *(\d+) +\d+% /.exec(line)?.[1] ?? []).at(-1);
  return found === undefined ? undefined : Number(found);
}
