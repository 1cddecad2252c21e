/**
 * Child processes: zx for short commands, `spawn` for the two that carry the stream, because zx keeps every byte of
 * output in memory. Children see a minimal environment, so that no credential of ours reaches them.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { $, type Shell } from 'zx/core';
import { ToolError } from '../../core/errors.ts';
import { describeEnd } from './child-end.ts';

/** Kept of a child's stderr: enough for its last words, bounded whatever it prints. */
const keptStderrBytes = 16_384;

/** What children see: a search path that includes sbin, and messages in English, because some are parsed. */
export function childEnvironment(): Record<string, string> {
  return { PATH: `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' };
}

/**
 * zx, set up for our commands: quiet, minimal environment, no exception on a non-zero exit. Nothing on stdin: bash takes
 * a socket there, which is what a pipe of Node is, for a remote login and runs ~/.bashrc first. Like all of our children it is
 * no member of our process group: Ctrl-C is for us alone, and must not end what cleans up.
 */
export const command = untraced(
  $({
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    quiet: true,
    nothrow: true,
    verbose: false,
  }),
);

/**
 * zx without the stack trace that it takes for each command, to name the line in a message that `nothrow` never shows. Source maps are
 * read for it, which takes 30 ms of a backup's start (node --cpu-prof).
 */
function untraced(shell: Shell): Shell {
  return new Proxy(shell, {
    apply(target, self, parameters) {
      const limit = Error.stackTraceLimit;
      Error.stackTraceLimit = 0;
      try {
        const made: unknown = Reflect.apply(target, self, parameters);
        // With options it gives another shell.
        return typeof made === 'function' ? untraced(made as Shell) : made;
      } finally {
        Error.stackTraceLimit = limit;
      }
    },
  });
}

/** The error for a short command that failed; one that is not installed is named as such. @param stderr of the command */
export function commandError(message: string, stderr: string): ToolError {
  const [, missing] = /(?:^|: )([\w.-]+): command not found/.exec(stderr) ?? [];
  return missing === undefined
    ? new ToolError(message, { childOutput: stderr })
    : new ToolError(`${message}: the command ${missing} is not installed`, {
        hint: 'install it with: make setup',
      });
}

/** A running child that carries a stream. */
export interface StreamChild {
  readonly process: ChildProcess;
  /** Resolves when the child exited 0 and its pipes are closed; rejects with a ToolError otherwise. */
  readonly finished: Promise<void>;
  /** Ends the child (SIGTERM, after 3 s SIGKILL) and waits until it is gone. */
  stop(): Promise<void>;
}

/**
 * Starts a child whose stdin or stdout is the stream. stderr is always captured apart.
 * @param name what to call it in messages, such as `btrfs send`.
 * @param inherited an open file that the child keeps open too, such as one that holds a lock.
 */
export function startStreamChild(
  name: string,
  file: string,
  args: readonly string[],
  stdio: readonly ['ignore' | 'pipe' | number, 'ignore' | 'pipe' | number],
  inherited?: number,
): StreamChild {
  const options: StdioOptions = [stdio[0], stdio[1], 'pipe', ...(inherited === undefined ? [] : [inherited])];
  const child = spawn(file, args, { stdio: options, env: childEnvironment(), detached: true });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptStderrBytes);
  });
  const finished = new Promise<void>((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const missing = cause.code === 'ENOENT';
      reject(
        new ToolError(missing ? `the command ${file} is not installed` : `${name} could not be started`, {
          ...(missing && { hint: 'install it with: make setup' }),
          cause,
        }),
      );
    });
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else {
        const { how, hint } = describeEnd(code, signal);
        reject(new ToolError(`${name} ${how}`, { ...(hint && { hint }), childOutput: stderr }));
      }
    });
  });
  // A caller that fails on something else first must not be ended by this rejection.
  finished.catch(() => undefined);
  return { process: child, finished, stop: () => stopChild(child, finished) };
}

async function stopChild(child: ChildProcess, finished: Promise<void>): Promise<void> {
  child.stdin?.destroy();
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
  await finished.catch(() => undefined);
  clearTimeout(timer);
}
