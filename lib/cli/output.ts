/** What becomes of stdout while a script runs. */

/**
 * Listens for writes to stdout that fail, which Node would end the process for, with a stack trace. A reader that has seen enough, as
 * `head` has, closes the pipe (EPIPE): that is no failure, and must not end a backup. A full disk is one.
 * @returns a function that waits for what is being written, and gives the failure.
 */
export function watchOutput(): () => Promise<NodeJS.ErrnoException | undefined> {
  let failure: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') failure ??= error;
  });
  return async () => {
    // A write reports its error in the next turn.
    await new Promise(setImmediate);
    return failure;
  };
}
