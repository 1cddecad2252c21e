/**
 * A script of scripts/ within this process: the same file with the same options, environment and output, without the start of another Node.js,
 * which takes longer than most scripts work. What is about the process itself, such as signals, kills and a closed terminal, needs one of its own.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import fs from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { bareEnvironment, type Outcome, runNode } from './run-program.ts';

interface Running {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

const running = new AsyncLocalStorage<Running>();
let isBusy = false;
let runs = 0;
/** What Node ends with when nothing is left to do and a module still waits. */
const unsettledExitCode = 13;

/**
 * Runs a script of scripts/ with a bare environment: no credentials, no settings. One after the other, as arguments and environment are those
 * of the process; beside another one, or where its output would go to a terminal, in a process of its own.
 */
export async function runScript(script: string, args: readonly string[]): Promise<Outcome> {
  if (isBusy || process.cwd() !== repositoryRoot || process.stderr.isTTY) {
    return runNode([`scripts/${script}`, ...args]);
  }
  isBusy = true;
  divertOutput();
  const takeBack = keepProcess();
  const run: Running = { exitCode: undefined, stdout: '', stderr: '' };
  const warnings: Error[] = [];
  const file = join(repositoryRoot, 'scripts', script);
  process.argv = [process.execPath, file, ...args];
  process.env = bareEnvironment();
  process.on('warning', (warning) => warnings.push(warning));
  runs += 1;
  try {
    // Each import with another query runs the file anew; what it imports is loaded once.
    await running.run(run, () => import(`${pathToFileURL(file).href}?run=${runs}`));
  } catch (error) {
    // As Node ends for an exception that is caught by no one.
    run.stderr += `${(error as Error).stack}\n`;
    run.exitCode = 1;
  } finally {
    takeBack();
    isBusy = false;
  }
  // What Node warns of, such as a leak or an old way of calling it, is a defect.
  for (const warning of warnings) throw new Error(`${script} ${args.join(' ')}: ${warning}`);
  const { exitCode = unsettledExitCode, stdout, stderr } = run;
  return { exitCode, stdout, stderr };
}

/** @returns what gives the process its arguments, its environment and its listeners back */
function keepProcess(): () => void {
  const { argv, env } = process;
  const emitters = [process, process.stdout, process.stderr] as readonly NodeJS.EventEmitter[];
  const listenersOf = (emitter: NodeJS.EventEmitter) =>
    emitter.eventNames().flatMap((name) => emitter.listeners(name).map((listener) => ({ name, listener })));
  const before = emitters.map((emitter) => new Set(listenersOf(emitter).map(({ listener }) => listener)));
  return () => {
    Object.assign(process, { argv, env });
    for (const [index, emitter] of emitters.entries()) {
      for (const { name, listener } of listenersOf(emitter)) {
        if (!before[index]?.has(listener)) emitter.removeListener(name, listener as () => void);
      }
    }
  };
}

let isDiverted = false;

/** Has what scripts write, and the exit code with which they would end the process, arrive in their result. */
function divertOutput(): void {
  if (isDiverted) return;
  isDiverted = true;
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = process[name];
    const write = stream.write.bind(stream) as (...parameters: unknown[]) => boolean;
    stream.write = (...parameters: unknown[]) => {
      const run = running.getStore();
      if (!run) return write(...parameters);
      run[name] += String(parameters[0]);
      const written = parameters.findLast((each) => typeof each === 'function');
      if (written) process.nextTick(written);
      return true;
    };
  }
  // The log is written to the file descriptor.
  const { writeSync } = fs;
  const divertedWrite = (fd: number, data: string | NodeJS.ArrayBufferView, ...rest: never[]) => {
    const run = fd === 2 ? running.getStore() : undefined;
    if (!run) return writeSync(fd, data as string, ...rest);
    run.stderr += String(data);
    return Buffer.byteLength(String(data));
  };
  fs.writeSync = divertedWrite as typeof fs.writeSync;
  const exit = process.exit.bind(process);
  process.exit = ((code?: number) => {
    const run = running.getStore();
    if (!run) return exit(code);
    run.exitCode ??= Number(code ?? 0);
  }) as typeof process.exit;
}
