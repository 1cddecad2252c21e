/** Runs a child process and reads its output record by record, so that memory does not grow with the output. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { ToolError } from '../../core/errors.ts';
import { childEnvironment } from './child.ts';
import { describeEnd } from './child-end.ts';

/** Kept of a child's stderr: its last words. */
const keptStderrBytes = 16_384;
const killAfterMs = 3000;

/** What to run, and how its output is divided. */
export interface RecordCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly directory: string;
  /** What the child reads on stdin; nothing when it is left out. */
  readonly input?: Buffer;
  /** The byte that ends each record. */
  readonly separator: number;
  readonly signal?: AbortSignal | undefined;
}

async function readRecords(
  child: ChildProcessWithoutNullStreams,
  separator: number,
  onRecord: (record: Buffer) => void,
): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    const data = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let start = 0;
    for (let end = data.indexOf(separator); end >= 0; end = data.indexOf(separator, start)) {
      onRecord(data.subarray(start, end));
      start = end + 1;
    }
    rest = data.subarray(start);
  }
  if (rest.length > 0) onRecord(rest);
}

/** Ends a child that still runs: SIGTERM, after three seconds SIGKILL. */
function endChild(child: ChildProcessWithoutNullStreams): void {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs).unref();
  child.once('close', () => clearTimeout(timer));
}

function startFailure(file: string, cause: NodeJS.ErrnoException): ToolError {
  if (cause.code !== 'ENOENT') return new ToolError(`${file} could not be started`, { cause });
  return new ToolError(`the command ${file} is not installed`, {
    hint: 'install it with: make setup',
    cause,
  });
}

/**
 * Runs the command and calls `onRecord` for each record of its output (without the separator; valid during the call
 * only). Resolves when the child has exited 0, never earlier.
 * @throws ToolError when it cannot be started or fails, with its stderr; the signal's reason when aborted; what
 * `onRecord` throws.
 */
export async function runForRecords(
  command: RecordCommand,
  onRecord: (record: Buffer) => void,
): Promise<void> {
  const { file, args, directory, signal } = command;
  signal?.throwIfAborted();
  const options = { cwd: directory, env: childEnvironment(), detached: true };
  const child = spawn(file, args, { ...options, stdio: 'pipe' });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptStderrBytes);
  });
  // A child that fails early closes its stdin; its exit code and stderr say more than our broken pipe.
  child.stdin.on('error', () => undefined).end(command.input);
  const closed = once(child, 'close').catch((cause: NodeJS.ErrnoException) => {
    throw startFailure(file, cause);
  });
  closed.catch(() => undefined);
  const abort = () => endChild(child);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await readRecords(child, command.separator, onRecord);
    const [exitCode, exitSignal] = await closed;
    signal?.throwIfAborted();
    if (exitCode === 0) return;
    const { how, hint } = describeEnd(exitCode, exitSignal);
    throw new ToolError(`${file} ${how} in ${directory}`, { ...(hint && { hint }), childOutput: stderr });
  } finally {
    signal?.removeEventListener('abort', abort);
    if (child.exitCode === null && child.signalCode === null) endChild(child);
    await closed.catch(() => undefined);
  }
}
