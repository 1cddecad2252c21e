/** A script while it runs: to be watched, and to be ended in the middle of its work. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import type { ScriptResult, World } from './world.ts';

/** How a process ended: with an exit code, or by a signal. */
export interface EndedScript extends ScriptResult {
  readonly signal: NodeJS.Signals | null;
}

/** A script under way, the leader of a process group of its own. */
export interface RunningScript {
  readonly child: ChildProcess;
  /** What it has written to stderr by now. */
  readonly said: () => string;
  readonly ended: Promise<EndedScript>;
}

const pollMs = 10;
const patienceMs = 60_000;

/** Starts a script with a settings file of the world; it is killed with the world. */
export function startScript(
  world: World,
  config: string,
  script: string,
  ...args: readonly string[]
): RunningScript {
  return start(world, 'scripts/tsx.sh', [`scripts/${script}`, '--config', config, ...args]);
}

/** Starts a command in the repository; it is killed with the world. */
export function start(world: World, command: string, args: readonly string[]): RunningScript {
  const child = spawn(command, args, {
    cwd: repositoryRoot,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<EndedScript>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }));
  });
  world.cleanUp(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, said: () => stderr, ended };
}

/** A command that has a terminal of its own. */
export interface InTerminal {
  /** Waits until a progress bar is drawn. */
  readonly drawn: () => Promise<void>;
  /** Closes the terminal: the kernel hangs it up. */
  readonly close: () => Promise<void>;
}

/** Starts a command of bash in a terminal, in the repository; the terminal is closed with the world. */
export function startInTerminal(world: World, command: string): InTerminal {
  // Nothing is drawn where the terminal has no size. script(1) owns it, until it dies.
  const sized = `stty rows 24 columns 80; ${command}`;
  const terminal = spawn('script', ['--quiet', '--command', sized, '/dev/null'], {
    cwd: repositoryRoot,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH, SHELL: '/bin/bash', TERM: 'xterm', AWS_EC2_METADATA_DISABLED: 'true' },
  });
  let shown = '';
  terminal.stdout.on('data', (text: Buffer) => {
    shown += text.toString();
  });
  const closed = once(terminal, 'close');
  const close = async () => {
    terminal.kill('SIGKILL');
    await closed;
  };
  world.cleanUp(close);
  return { drawn: () => until('the bar is drawn', () => / of about |\d%/.test(shown)), close };
}

/** Waits until something is so; for as long as a slow machine may take. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await sleep(pollMs);
  }
}

/** Waits until something is so while a script runs; it must not end before. */
export async function whileRunning(
  { child, said }: RunningScript,
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  await until(what, async () => {
    if (await isSo()) return true;
    if (child.exitCode === null && child.signalCode === null) return false;
    throw new Error(`the script ended before: ${what}; ${said()}`);
  });
}

/**
 * Processes, this one aside, whose command line or directory names a path; zombies have neither.
 * @param program how the command line begins
 * @param without what stands nowhere in it
 */
export async function processesAbout(
  path: string,
  program = '',
  without?: string,
): Promise<readonly number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    // A process may end while it is looked at.
    const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const place = await readlink(`/proc/${entry}/cwd`).catch(() => '');
    const isAbout = line.includes(path) || place.includes(path);
    if (!isAbout || (without !== undefined && line.includes(without))) continue;
    if (line.replaceAll('\0', ' ').startsWith(program)) found.push(Number(entry));
  }
  return found;
}

/** The `btrfs send` of an upload of something below a path, if it runs; those that only look at a snapshot are soon over. */
export async function sendOfUpload(path: string): Promise<number | undefined> {
  const [pid] = await processesAbout(path, 'btrfs send', '--no-data');
  return pid;
}

/** Suspends a process, and waits until all of its threads stand still: a signal that comes right behind may otherwise end one that runs. */
export async function suspend(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await until(`process ${pid} stands still`, async () => {
    const threads = await readdir(`/proc/${pid}/task`);
    // A thread may end while it is looked at.
    const states = threads.map((thread) =>
      readFile(`/proc/${pid}/task/${thread}/status`, 'utf8').catch(() => ''),
    );
    return (await Promise.all(states)).every((state) => /^State:\tT/m.test(state));
  });
}
