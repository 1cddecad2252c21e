/** Runs one of the tool's scripts and measures it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { repositoryRoot } from '../../harness/test-directory.ts';

/** What a run of a script took. */
export interface Measured {
  readonly peakBytes: number;
  readonly seconds: number;
}

/** What every run of a script is given. */
export interface ScriptSurroundings {
  readonly settings: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** A file that may be written. */
  readonly peakFile: string;
}

/**
 * Runs `scripts/NAME.ts` to its end, as make does.
 * @throws with the script's own words when it ends with anything but exit code 0.
 */
export async function runMeasured(
  name: string,
  options: readonly string[],
  { settings, environment, signal, peakFile }: ScriptSurroundings,
): Promise<Measured> {
  signal.throwIfAborted();
  const startedMs = performance.now();
  const preload = join(import.meta.dirname, 'report-peak-memory.cjs');
  const child = spawn('scripts/tsx.sh', [`scripts/${name}.ts`, '--config', settings, ...options], {
    cwd: repositoryRoot,
    env: { ...environment, NODE_OPTIONS: `--require=${JSON.stringify(preload)}`, PEAK_MEMORY_FILE: peakFile },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const [complaint, [exitCode]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (exitCode !== 0) throw new Error(`${name}.ts ended with exit code ${exitCode}: ${complaint.trim()}`);
  return {
    peakBytes: Number(await readFile(peakFile, 'utf8')),
    seconds: (performance.now() - startedMs) / 1000,
  };
}
