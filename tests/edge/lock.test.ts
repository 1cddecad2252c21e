import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exitCodeOf, type ToolError } from '../../lib/core/errors.ts';
import { takeLock } from '../../lib/edge/lock.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('lock');
const holders: ChildProcess[] = [];
after(() => {
  for (const holder of holders) holder.kill('SIGKILL');
});

/** Another process that takes the lock and keeps it until it is killed. */
async function startHolder(runDirectory: string): Promise<ChildProcess> {
  const code = `import { takeLock } from './lib/edge/lock.ts';
    await takeLock(${JSON.stringify(runDirectory)});
    console.log('held');
    setInterval(() => undefined, 1000);`;
  const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', code], {
    cwd: repositoryRoot,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  holders.push(holder);
  await once(holder.stdout ?? assert.fail(), 'data');
  return holder;
}

test('the lock of another process is refused with its process id, and free again once that is killed', async () => {
  const runDirectory = join(directory, 'shared');
  const holder = await startHolder(runDirectory);
  await assert.rejects(takeLock(runDirectory), (error: ToolError) => {
    assert.equal(exitCodeOf(error), 3);
    assert.match(error.message, new RegExp(`lock: process ${holder.pid}, since 20\\d\\d-\\d\\d-\\d\\dT`));
    assert.match(error.hint ?? '', /wait/);
    return true;
  });
  assert.match(readFileSync(join(runDirectory, 'lock'), 'utf8'), new RegExp(`^process ${holder.pid},`));
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const lock = await takeLock(runDirectory);
  assert.match(
    readFileSync(join(runDirectory, 'lock'), 'utf8'),
    new RegExp(`^process ${process.pid}, .*\\n$`),
  );
  await lock.release();
});

test('the same process cannot take it twice, but again after its release', async () => {
  const lock = await takeLock(directory);
  await assert.rejects(takeLock(directory), /another run holds the lock/);
  await lock.release();
  await (await takeLock(directory)).release();
});

test('a child that outlives its parent does not keep the lock', async () => {
  const runDirectory = join(directory, 'with-child');
  const lock = await takeLock(runDirectory);
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  holders.push(child);
  await lock.release();
  await (await takeLock(runDirectory)).release();
  child.kill('SIGKILL');
});

test('the run directory is made for its owner alone', async () => {
  const runDirectory = join(directory, 'new', 'deep');
  await (await takeLock(runDirectory)).release();
  assert.equal(statSync(runDirectory).mode & 0o777, 0o700);
  assert.equal(statSync(join(runDirectory, 'lock')).mode & 0o777, 0o600);
});

test('a run directory that cannot be used is named', async () => {
  writeFileSync(join(directory, 'file'), '');
  await assert.rejects(takeLock(join(directory, 'file', 'below')), /cannot use RUN_DIR .*below: /);
});
