/** NOTIFY_COMMAND: what a user wants to have run at the end of a run, such as mail. */
import { spawn } from 'node:child_process';
import { ToolError } from '../../core/errors.ts';
import { childEnvironment } from '../process/child.ts';
import { describeEnd } from '../process/child-end.ts';

/** A command may have a password in it, and every user can read the arguments of a process; its environment only root can. */
const shellArguments = ['-c', 'command=$NOTIFY_COMMAND; unset NOTIFY_COMMAND; eval "$command"'];

/** What it is given. */
export interface Notice {
  /** In the environment of the command. */
  readonly variables: Readonly<Record<string, string>>;
  /** On its stdin. */
  readonly text: string;
}

const timeoutMs = 60_000;
const keptStderrCharacters = 4096;

/**
 * Runs a command by /bin/sh, with a minimal environment in which no credential is, and waits for it, a minute at most.
 * @throws ToolError with its last words when it fails or does not end
 */
export async function runNotifyCommand(
  command: string,
  { variables, text }: Notice,
  limitMs = timeoutMs,
): Promise<void> {
  const own = { HOME: process.env.HOME ?? '/', NOTIFY_COMMAND: command };
  const env = { ...childEnvironment(), ...own, ...variables };
  // A group of its own: what it started ends with it when the time is over.
  const child = spawn('/bin/sh', shellArguments, { env, stdio: ['pipe', 'ignore', 'pipe'], detached: true });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (words: string) => {
    stderr = (stderr + words).slice(-keptStderrCharacters);
  });
  // A command that does not read its input is no failure.
  child.stdin.on('error', () => undefined);
  child.stdin.end(`${text}\n`);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, limitMs);
  // `exit`, not `close`: what it left running in the background may keep its stderr open.
  const how = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(code === 0 ? undefined : describeEnd(code, signal).how));
  });
  clearTimeout(timer);
  child.stderr.destroy();
  if (how === undefined) return;
  const why = isLate ? `did not end within ${limitMs / 1000} s and was killed` : how;
  throw new ToolError(`NOTIFY_COMMAND ${why}`, { childOutput: stderr });
}
