/** Runs one command to its end, with a way to stop all that it started. Short output only: its lines are kept. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { repositoryRoot } from '../test-directory.ts';
import { sendSignal } from './marked-processes.ts';
import { Stopped } from './stop.ts';

/** What to run, in the checkout's root, and what is around it. */
export interface CommandOptions {
  readonly command: readonly [string, ...string[]];
  /** The whole environment of the command. */
  readonly environment: Readonly<Record<string, string>>;
  /** Stops it and everything in its process group: with SIGINT where a Stopped says so, else with SIGTERM. */
  readonly signal: AbortSignal;
  /** Called for each line of both outputs, in the order in which they were written. */
  readonly onLine: (text: string) => void;
}

/** What it answered, how it ended (null: by a signal), and how long it took. */
export interface CommandOutcome {
  readonly exitCode: number | null;
  readonly lines: readonly string[];
  readonly seconds: number;
}

/** Runs a command and waits until it has ended and its output is read. @throws when it cannot be started. */
export async function runCommand(options: CommandOptions): Promise<CommandOutcome> {
  const { command, environment, signal, onLine } = options;
  const startedMs = performance.now();
  // One pipe for both outputs keeps their order. A group of its own lets a signal reach all that the command starts, once.
  const child = spawn('bash', ['-c', 'exec "$@" 2>&1', 'bash', ...command], {
    cwd: repositoryRoot,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const stop = () => {
    if (child.pid !== undefined) sendSignal(-child.pid, signalFor(signal.reason));
  };
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(text);
    onLine(text);
  });
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [exitCode] = await once(child, 'close');
    return { exitCode, lines, seconds: (performance.now() - startedMs) / 1000 };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function signalFor(reason: unknown): NodeJS.Signals {
  return reason instanceof Stopped && reason.signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM';
}
