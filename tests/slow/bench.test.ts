import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { runNode } from '../support/run-program.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('bench-test');
const program = 'testing/bench/bench.ts';
const tiny = ['--size', '8MiB', '--rounds', '1', '--sets', 'incompressible'];

/** What a run left: files, loop devices and mounts. */
async function leftIn(place: string): Promise<readonly string[]> {
  const loops = (await shell`losetup --all`).stdout.split('\n').filter((line) => line.includes(place));
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(place));
  return [...readdirSync(place), ...loops, ...mounts];
}

test('a tiny run compares both directions, and leaves nothing but its results', async () => {
  const place = join(directory, 'whole');
  mkdirSync(place);
  const { exitCode, stdout, stderr } = await runNode([
    program,
    ...tiny,
    '--dir',
    place,
    '--results',
    directory,
  ]);
  assert.equal(exitCode, 0, stderr);
  for (const line of [
    'UPLOAD incompressible',
    'btrfs send | cat',
    'RESTORE incompressible',
    'one GetObject',
  ]) {
    assert.ok(stdout.includes(`\n${line}`), `${line} in ${stdout}`);
  }
  const document = JSON.parse(readFileSync(join(directory, 'bench.json'), 'utf8'));
  const roles = document.comparisons.map(
    ({ direction, results }: { direction: string; results: { role: string }[] }) => [
      direction,
      ...results.slice(0, 3).map(({ role }) => role),
    ],
  );
  assert.deepEqual(roles, [
    ['upload', 'limit', 'ceiling', 'tool'],
    ['restore', 'limit', 'ceiling', 'tool'],
  ]);
  assert.deepEqual(await leftIn(place), []);
});

test('a run that is stopped leaves nothing', async () => {
  const place = join(directory, 'stopped');
  mkdirSync(place);
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...tiny, '--dir', place], {
    cwd: repositoryRoot,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  after(() => child.kill('SIGKILL'));
  const ended = once(child, 'close');
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    // The upload of the tool is about to begin, or has.
    if (line.includes('raw PUT')) child.kill('SIGINT');
  });
  assert.deepEqual(await ended, [130, null]);
  assert.equal(lines.at(-1), 'bench: stopped by SIGINT');
  assert.deepEqual(await leftIn(place), []);
});

test('what cannot be done is said in one line, before anything is made', async () => {
  const place = join(directory, 'refused');
  mkdirSync(place);
  const refused = async (...args: readonly string[]) => {
    const { exitCode, stderr } = await runNode([program, '--dir', place, ...args]);
    return [exitCode, stderr] as const;
  };
  const [wrong, tooLarge] = await Promise.all([refused('--rounds', '0'), refused('--size', '900TiB')]);
  assert.deepEqual(wrong, [2, 'bench: ROUNDS must be a whole number, at least 1, got "0"\n']);
  assert.equal(tooLarge[0], 1);
  assert.match(tooLarge[1], /^bench: \S+ has .* free, and 2700 TiB are needed: name another place .*\n$/);
  assert.deepEqual(await leftIn(place), []);
});
