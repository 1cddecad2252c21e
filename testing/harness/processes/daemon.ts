/** Another project's program that runs in the foreground until it is stopped, with a file for its output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** How to start it. */
export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** All that it sees of the environment; the mark by which it is found again has to be in it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where both of its outputs go, appended. */
  readonly log: string;
  /** Whether it goes on when this process ends, however it ends. */
  readonly outlive: boolean;
}

/** A running program. */
export interface Daemon {
  /** Settles when it ends: what it was, how it ended, and the last lines of its log. It never rejects. */
  readonly ended: Promise<string>;
  /** Kills it and waits until it is gone; a second call does nothing. */
  kill(): Promise<void>;
}

const tailLines = 8;

/** @throws when the program cannot be started at all. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { child, ended } = await spawnWithLog(options);
  if (options.outlive) child.unref();
  return {
    ended,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function spawnWithLog(
  options: DaemonOptions,
): Promise<{ readonly child: ChildProcess; readonly ended: Promise<string> }> {
  const { command, args, environment, log, outlive } = options;
  // The kernel ends it with its parent, even where that is killed; setpriv becomes the program, and is no process more.
  const [program = command, ...rest] = outlive
    ? [command]
    : ['setpriv', '--pdeathsig', 'KILL', '--', command];
  const file = await open(log, 'a', 0o600);
  try {
    const child = spawn(program, [...rest, ...args], {
      env: environment,
      // In a group of its own, so that Ctrl-C in a terminal does not end it under the commands that still use it.
      detached: true,
      stdio: ['ignore', file.fd, file.fd],
    });
    // It may end before anything else is done here.
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (exitCode, signal) =>
        resolve(describeEnd(options, signal ?? `exit code ${exitCode}`)),
      );
    });
    await once(child, 'spawn');
    return { child, ended };
  } finally {
    await file.close();
  }
}

async function describeEnd({ command, log }: DaemonOptions, how: string): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '');
  const tail = text.trim().split('\n').slice(-tailLines).join('\n');
  return `${basename(command)} ended (${how}); the end of ${log}:\n${tail}`;
}
