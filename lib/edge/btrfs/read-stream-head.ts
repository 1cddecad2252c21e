/** What a send stream of a snapshot would say of it, without sending it. */
import { ToolError } from '../../core/errors.ts';
import { CommandScanner } from '../../core/stream/command-scanner.ts';
import { parseFirstCommand, type StreamHead } from '../../core/stream/stream-head.ts';
import { startStreamChild } from '../process/child.ts';

/**
 * Begins to send a snapshot in full, without its data, and ends that after the first command: `btrfs send` is the only program
 * that prints the state of a subvolume (`ctransid`). Takes some milliseconds, whatever the size.
 * @throws ToolError when `btrfs send` fails before that.
 */
export async function readStreamHead(snapshotPath: string): Promise<StreamHead> {
  const name = `btrfs send of ${snapshotPath}`;
  const child = startStreamChild(
    name,
    'btrfs',
    ['send', '--quiet', '--no-data', '--', snapshotPath],
    ['ignore', 'pipe'],
  );
  let head: StreamHead | undefined;
  const scanner = new CommandScanner((_type, { bytes }, from, to) => {
    head ??= parseFirstCommand(scanner.version ?? 0, bytes.subarray(from, to));
    return undefined;
  });
  try {
    for await (const piece of child.process.stdout ?? []) {
      scanner.push(piece);
      if (head) return head;
    }
    await child.finished;
    throw new ToolError(`${name} sent nothing`);
  } finally {
    await child.stop();
  }
}
