/** How a child process ended, in words. */

/** How it ended, as a clause, and what to do about it where that is known. */
export interface ChildEnd {
  readonly how: string;
  readonly hint: string | undefined;
}

/** Of a child that did not exit 0. A shell in between reports a signal as 128 plus its number. */
export function describeEnd(exitCode: number | null, signal: NodeJS.Signals | null): ChildEnd {
  const isKilled = signal === 'SIGKILL' || exitCode === 137;
  return {
    how: signal ? `was killed by ${signal}` : `failed with exit code ${exitCode}`,
    hint: isKilled
      ? 'the kernel does that when memory runs out, and journalctl -k says so: lower PART_SIZE or CONCURRENCY'
      : undefined,
  };
}
