/** What becomes of stdout, and of the terminal, while a script runs. */
import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * Listens for writes to stdout that fail, which Node would end the process for, with a stack trace. A reader that has seen enough, as
 * `head` has, closes the pipe (EPIPE): that is no failure, and must not end a backup. Neither is a terminal that was closed under a run
 * that survives it (EIO). A full disk is one.
 * @returns a function that waits for what is being written, and gives the failure.
 */
export function watchOutput(): () => Promise<NodeJS.ErrnoException | undefined> {
  let failure: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    const isReaderGone = error.code === 'EPIPE' || (error.code === 'EIO' && process.stdout.isTTY);
    if (!isReaderGone) failure ??= error;
  });
  return async () => {
    // A write reports its error in the next turn.
    await new Promise(setImmediate);
    return failure;
  };
}

/**
 * Has the process end with its exit code where its terminal was closed. Node sets each terminal that it had at its start back to what it was,
 * and aborts where that fails (ResetStdio in its src/node.cc): exit code 134, and a core dump with whatever was in memory.
 */
export function surviveClosedTerminal(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  process.once('exit', () => {
    for (const fd of terminals.filter((each) => !isatty(each))) {
      // What is closed, Node leaves alone; and an exception would change the exit code.
      try {
        closeSync(fd);
      } catch {
        // It was closed already.
      }
    }
  });
}
