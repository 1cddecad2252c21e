/** Ends a run in an orderly way: a signal, or a reader of the output who went away, becomes an AbortSignal. */

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Why a run was stopped, and the exit code for that: 128 plus the number of the signal, as shells count. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  readonly exitCode: number;
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals, exitCode: number) {
    super(`stopped by ${signal}`);
    this.signal = signal;
    this.exitCode = exitCode;
  }
}

/**
 * Turns SIGINT, SIGTERM, SIGHUP and a closed standard output into one abort, whose reason is a Stopped. Further signals
 * change nothing, because what runs then is the clean-up; only SIGKILL ends that.
 */
export function listenForStop(): AbortSignal {
  const controller = new AbortController();
  for (const [name, number] of Object.entries(signals)) {
    process.on(name, () => controller.abort(new Stopped(name as NodeJS.Signals, 128 + number)));
  }
  for (const stream of [process.stdout, process.stderr]) {
    // Without a listener, `make demo | head` would end the process before anything is cleaned up.
    stream.on('error', () => controller.abort(new Stopped('SIGPIPE', 128 + 13)));
  }
  return controller.signal;
}
