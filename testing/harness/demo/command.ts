/** Runs a command line as a person would type it, and shows it with what it answers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Stopped } from '../processes/stop.ts';
import { repositoryRoot } from '../test-directory.ts';
import type { Narrator } from './narrator.ts';

/** What a command line needs around it. */
export interface CommandSurroundings {
  readonly narrator: Narrator;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** What it answered, and how long it took. */
export interface CommandOutcome {
  readonly lines: readonly string[];
  readonly seconds: number;
}

/**
 * Runs `line` in the checkout's root with bash.
 * @throws when it ends with anything but exit code 0, and the Stopped when the run is stopped meanwhile.
 */
export async function runCommand(
  line: string,
  { narrator, environment, signal }: CommandSurroundings,
): Promise<CommandOutcome> {
  signal.throwIfAborted();
  narrator.command(line);
  const startedMs = performance.now();
  // One pipe for both outputs keeps their order. A group of its own lets a signal reach all that the line starts, once.
  const child = spawn('bash', ['-euo', 'pipefail', '-c', `exec 2>&1\n${line}`], {
    cwd: repositoryRoot,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const stop = () => {
    const { reason } = signal;
    if (child.pid !== undefined) {
      process.kill(
        -child.pid,
        reason instanceof Stopped && reason.signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM',
      );
    }
  };
  signal.addEventListener('abort', stop, { once: true });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(text);
    narrator.answer(text);
  });
  const [exitCode] = await once(child, 'close');
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (exitCode !== 0) throw new Error(`this command ended with exit code ${exitCode}: ${line}`);
  return { lines, seconds: (performance.now() - startedMs) / 1000 };
}
