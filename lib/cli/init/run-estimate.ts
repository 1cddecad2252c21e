/** The estimate of the first backup, by the script that makes it: a run of its own, with its own lock and signals. */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

/** Runs it on this terminal. What becomes of it changes nothing about the settings; Ctrl-C ends it alone. */
export function runEstimate(checkout: string, config: string): Promise<void> {
  const args = ['scripts/estimate.ts', '--config', resolve(config)];
  const child = spawn(join(checkout, 'scripts/tsx.sh'), args, {
    cwd: checkout,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Promise((done) => {
    child.once('error', () => done());
    child.once('close', () => done());
  });
}
