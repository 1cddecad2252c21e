/** Programs in a row, each reading what the one before it writes, without a shell. */
import { closeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { type StreamChild, startStreamChild } from './child.ts';
import type { Fifo } from './fifo.ts';

/** A program of a pipeline. */
export interface Step {
  /** What to call it in messages. */
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
}

/** A running pipeline. */
export interface Pipeline {
  /** Of the first program. What goes wrong with it shows in `finished`. */
  readonly input: Writable;
  /** Resolves when every program exited 0; rejects with the ToolError of the one that failed, and all are gone then. */
  readonly finished: Promise<void>;
  /** Ends those that still run, and waits until they are gone. */
  stop(): Promise<void>;
}

/**
 * Starts a pipeline.
 * @param into the pipe that the first program reads, not in use
 * @param between a pipe for each place between two programs, not in use
 * @param output the descriptor that the last program writes to; the caller closes it
 */
export function startPipeline(
  steps: readonly Step[],
  into: Fifo,
  between: readonly Fifo[],
  output: number,
): Pipeline {
  const { readDescriptor: first, input } = into.openInput();
  const joints = steps.slice(1).map((_, index) => {
    const fifo = between[index];
    if (!fifo) throw new Error('a pipeline needs a pipe between each two programs');
    return fifo.open('child');
  });
  const children = steps.map(({ name, file, args }, index) =>
    startStreamChild(name, file, args, [
      joints[index - 1]?.readDescriptor ?? first,
      joints[index]?.writeDescriptor ?? output,
    ]),
  );
  // The children have inherited them; a pipe that we keep open would never end.
  closeSync(first);
  for (const { readDescriptor, writeDescriptor } of joints) {
    closeSync(readDescriptor);
    closeSync(writeDescriptor);
  }
  const stop = async () => {
    input.destroy();
    await Promise.all(children.map((child) => child.stop()));
  };
  const finished = finishAll(children, stop);
  finished.catch(() => undefined);
  return { input, finished, stop };
}

async function finishAll(children: readonly StreamChild[], stop: () => Promise<void>): Promise<void> {
  try {
    await Promise.all(children.map(({ finished }) => finished));
  } catch {
    await stop();
    const failed = await Promise.all(
      children.map(async (child) => ({
        rank: rankOf(child),
        error: await child.finished.then(
          () => undefined,
          (error: unknown) => error,
        ),
      })),
    );
    throw failed.filter(({ error }) => error !== undefined).sort((a, b) => a.rank - b.rank)[0]?.error;
  }
}

/** How likely the failure of a child is the cause of the others': those whose neighbour is gone end by SIGPIPE, the rest by our SIGTERM. */
function rankOf({ process: { signalCode } }: StreamChild): number {
  if (signalCode === null) return 0;
  return signalCode === 'SIGPIPE' || signalCode === 'SIGTERM' ? 2 : 1;
}
