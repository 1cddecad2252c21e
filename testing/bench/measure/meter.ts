/** Measures a command with all that it starts: time, processor time and memory, without a tool that may not be installed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { sendSignal } from '../../harness/processes/marked-processes.ts';
import { repositoryRoot } from '../../harness/test-directory.ts';
import { type Measurement, parseTimes } from './statistics.ts';

/** A line of bash, with its arguments as "$1", "$2" …, and what it sees of the environment. */
export interface MeasuredCommand {
  readonly script: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** One of the tool's scripts, `NAME` of `scripts/NAME.ts`, started in a checkout as make starts it there. */
export function toolCommand(
  checkout: string,
  name: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): MeasuredCommand {
  const started = ['env', '--chdir', checkout, 'scripts/tsx.sh', `scripts/${name}.ts`];
  return { script: '"$@"', args: [...started, ...args], environment };
}

/** How a program of testing/bench/baselines/ is started: from a bundle, as the tool is, with the flags that make gives to node. */
export function startOfProgram(program: string): readonly string[] {
  const flags = process.execArgv.filter((flag) => !['--import', 'tsx', '--import=tsx'].includes(flag));
  return [
    process.execPath,
    ...flags,
    join(repositoryRoot, 'launcher/start.cjs'),
    join(repositoryRoot, 'testing/bench/baselines', `${program}.ts`),
  ];
}

const pollMs = 50;
const graceMs = 15_000;

/**
 * Runs a command to its end. Its standard output is thrown away.
 * @throws with the command's own words when it fails, and the signal's reason.
 */
export async function measure(command: MeasuredCommand, signal: AbortSignal): Promise<Measurement> {
  signal.throwIfAborted();
  // `times` (bash(1)) prints what getrusage(2) reports for the shell and of the children that it, and they, waited for.
  const script = `set -o pipefail; ${command.script}\ncode=$?; times >&3; exit $code`;
  const startedMs = performance.now();
  const child = spawn('bash', ['-c', script, 'bash', ...command.args], {
    cwd: repositoryRoot,
    env: command.environment,
    // A group of its own lets a signal reach all of it.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  const peak = watchPeak(child);
  const stop = () => void endGroup(child);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [complaint, times, [exitCode]] = await Promise.all([
      text(child.stderr as Readable),
      text(child.stdio[3] as Readable),
      ended,
    ]);
    const seconds = (performance.now() - startedMs) / 1000;
    signal.throwIfAborted();
    if (exitCode !== 0) throw new Error(`exit code ${exitCode} of: ${command.script}\n${complaint.trim()}`);
    return { seconds, cpuSeconds: parseTimes(times), peakBytes: await peak };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  sendSignal(-child.pid, 'SIGTERM');
  const timer = setTimeout(sendSignal, graceMs, -child.pid, 'SIGKILL');
  await once(child, 'close');
  clearTimeout(timer);
}

/** Looks again and again while the command runs: the kernel keeps the highest mark of each process (proc_pid_status(5), VmHWM). */
async function watchPeak(child: ChildProcess): Promise<number> {
  let peakBytes = 0;
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  while (isRunning() && child.pid !== undefined) {
    for (const pid of await descendants(child.pid)) peakBytes = Math.max(peakBytes, await highestMark(pid));
    await sleep(pollMs);
  }
  return peakBytes;
}

/** The processes that one started, and those that they started, by /proc/PID/task/PID/children (proc(5)). */
async function descendants(pid: number): Promise<readonly number[]> {
  const listed = await readOrNothing(`/proc/${pid}/task/${pid}/children`);
  const children = listed
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);
  return [...children, ...(await Promise.all(children.map(descendants))).flat()];
}

async function highestMark(pid: number): Promise<number> {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(await readOrNothing(`/proc/${pid}/status`))?.[1];
  return Number(kibibytes ?? 0) * 1024;
}

/** A process may end while it is looked at. */
function readOrNothing(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
