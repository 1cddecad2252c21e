import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exitCodeOf, type ToolError } from '../../../lib/core/errors.ts';
import { takeLock } from '../../../lib/edge/files/lock.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../../testing/harness/test-directory.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { unmount } from '../../support/unmount-everywhere.ts';

const directory = temporaryDirectory('lock');
const holders: ChildProcess[] = [];
after(() => {
  for (const holder of holders) holder.kill('SIGKILL');
});

/** Another process that takes the lock and keeps it until it is killed. */
async function startHolder(runDirectory: string): Promise<ChildProcess> {
  const code = `import { takeLock } from './lib/edge/files/lock.ts';
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
  assert.match(lock.killed ?? '', new RegExp(`^process ${holder.pid}, since 20\\d\\d-\\S+Z$`));
  assert.match(
    readFileSync(join(runDirectory, 'lock'), 'utf8'),
    new RegExp(`^process ${process.pid}, .*\\n`),
  );
  await lock.release();
  const next = await takeLock(runDirectory);
  assert.equal(next.killed, undefined, 'one that was released was not killed');
  await next.release();
  // As earlier versions left it, however they ended.
  writeFileSync(join(runDirectory, 'lock'), 'process 1, since 2026-11-24T02:00:00.000Z\n');
  const later = await takeLock(runDirectory);
  assert.equal(later.killed, undefined);
  await later.release();
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

test('the lock file can be deleted or replaced while it is held, and the lock is still held', async () => {
  const runDirectory = join(directory, 'deleted');
  const lock = await takeLock(runDirectory);
  rmSync(join(runDirectory, 'lock'));
  await assert.rejects(takeLock(runDirectory), /another run holds the lock .*: its process is unknown$/);
  writeFileSync(join(runDirectory, 'other'), '');
  renameSync(join(runDirectory, 'other'), join(runDirectory, 'lock'));
  await assert.rejects(takeLock(runDirectory), (error: ToolError) => exitCodeOf(error) === 3);
  await lock.release();
  await (await takeLock(runDirectory)).release();
});

test('one directory has one lock, whatever link leads to it', async () => {
  const runDirectory = join(directory, 'real');
  const lock = await takeLock(runDirectory);
  symlinkSync(runDirectory, join(directory, 'link'));
  await assert.rejects(takeLock(join(directory, 'link')), /another run holds the lock/);
  await lock.release();
});

for (const [what, text] of [
  ['nothing', ''],
  ['a process that is gone', 'process 2147483647, since 2026-11-24T02:00:00.000Z\n'],
  ['control characters', '\u001b]0;owned\u0007process 1, since 2026-11-24T02:00:00.000Z\n'],
  ['control characters at its end', 'process 1, since 2026-11-24T02:00:00.000Z\n\u001b[2J'],
  ['bytes that are no text', Buffer.from([0xff, 0x00, 0x9b])],
] as const) {
  test(`a lock file that holds ${what} names no one`, async () => {
    const runDirectory = join(directory, 'garbage');
    const lock = await takeLock(runDirectory);
    writeFileSync(join(runDirectory, 'lock'), text);
    await assert.rejects(takeLock(runDirectory), (error: ToolError) => {
      assert.equal(
        error.message,
        `another run holds the lock ${join(runDirectory, 'lock')}: its process is unknown`,
      );
      assert.equal(exitCodeOf(error), 3);
      return true;
    });
    await lock.release();
  });
}

test('a run directory that cannot be used is named, with what to do', async () => {
  const readOnly = join(directory, 'read-only');
  mkdirSync(readOnly);
  await shell`mount -t tmpfs -o ro tmpfs ${readOnly}`;
  try {
    writeFileSync(join(directory, 'file'), '');
    mkdirSync(join(directory, 'no-file', 'lock'), { recursive: true });
    symlinkSync(join(directory, 'nowhere', 'at', 'all'), join(directory, 'dangling'));
    for (const [name, says] of [
      ['file/below', /a part of the path is not a directory/],
      ['file', /EEXIST|not a directory/],
      ['read-only', /the filesystem is read-only/],
      // Node's recursive mkdir says ENOENT there.
      ['read-only/below', /it does not exist|the filesystem is read-only/],
      ['no-file', /EISDIR/],
      ['dangling', /it does not exist|EEXIST/],
    ] as const) {
      await assert.rejects(takeLock(join(directory, name)), (error: ToolError) => {
        assert.ok(error.message.startsWith(`cannot use RUN_DIR ${join(directory, name)}: `), error.message);
        assert.match(error.message, says);
        assert.equal(error.hint, 'set RUN_DIR to a directory that can be written');
        assert.equal(exitCodeOf(error), 1);
        return true;
      });
    }
  } finally {
    await unmount(readOnly);
  }
});
