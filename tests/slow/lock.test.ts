import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { createWorld, errorLines, namesIn, runProcess, type World } from '../end-to-end/world.ts';

/** Waits until something is there. */
async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(20)) {
    const value = await look();
    if (value !== undefined) return value;
  }
  return assert.fail(`${what} did not come`);
}

/** A backup that is published, and another whose upload has begun and never ends. */
async function startUpload(world: World): Promise<ChildProcess> {
  await writeFile(join(world.data, 'file'), '1');
  await world.backup();
  await writeFile(join(world.data, 'random'), randomBytes(64 * 2 ** 20));
  assert.equal((await world.run('snapshot.ts')).exitCode, 0);
  world.server.faults.set([{ fault: 'stall', operation: ['PutObject', 'UploadPart'], key: '*/chunk-*' }]);
  const args = ['scripts/send-chunk-upload.ts', '--config', await world.settingsFile()];
  const holder = spawn('scripts/tsx.sh', args, { cwd: repositoryRoot, stdio: 'ignore' });
  world.cleanUp(async () => holder.kill('SIGKILL'));
  await until('a part', async () => world.server.faults.list().find(({ fired }) => fired > 0));
  return holder;
}

/** The processes that one started, with what they are called. */
async function childrenOf(
  parent: number,
): Promise<readonly { readonly pid: number; readonly name: string }[]> {
  const children: { pid: number; name: string }[] = [];
  for (const entry of await readdir('/proc')) {
    const status = await readFile(join('/proc', entry, 'status'), 'utf8').catch(() => '');
    if (!status.includes(`\nPPid:\t${parent}\n`)) continue;
    children.push({ pid: Number(entry), name: /^Name:\t(.*)$/m.exec(status)?.[1] ?? '' });
  }
  return children;
}

/** The files that a process has open. */
async function openFilesOf(pid: number): Promise<readonly string[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  // One may be closed between the two looks.
  const links = descriptors.map((descriptor) =>
    readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => undefined),
  );
  return (await Promise.all(links)).filter((link) => link !== undefined);
}

test('while a backup runs, no other begins, and everything that only reads works', async (t) => {
  const world = await createWorld(t);
  const before = new Date().toISOString();
  const holder = await startUpload(world);
  const requests = world.server.requests.length;
  const runFiles = await namesIn(join(world.runDirectory, 'data'));

  for (const script of ['snapshot.ts', 'send-chunk-upload.ts', 'manifest.ts']) {
    const result = await world.run(script);
    assert.equal(result.exitCode, 3, `${script}: ${result.stderr}`);
    const [line = '', ...more] = errorLines(result);
    assert.deepEqual([more, result.stdout], [[], ''], script);
    const [, pid, since = ''] =
      /another run holds the lock \S+: process (\d+), since (\S+); wait/.exec(line) ?? [];
    assert.equal(Number(pid), holder.pid, line);
    assert.ok(since > before && since < new Date().toISOString(), line);
  }
  const made = await runProcess('make', ['backup', `CONFIG=${await world.settingsFile()}`]);
  assert.match(made.stderr, /Error 3\b/);
  assert.deepEqual(await namesIn(join(world.runDirectory, 'data')), runFiles);
  const asked = world.server.requests.slice(requests).filter(({ method }) => /GET|HEAD/.test(method));
  assert.deepEqual(asked, [], 'the others asked the bucket nothing');

  const restored = ['one', 'two'].map((name) =>
    world.run('restore.ts', '--subvolume', 'data', '--target', join(world.mount, name)),
  );
  const readers = [
    ...restored,
    world.run('list.ts'),
    world.run('verify.ts', '--deep'),
    world.run('snapshot.ts', '--dry-run'),
  ];
  for (const { exitCode, stderr } of await Promise.all(readers)) assert.equal(exitCode, 0, stderr);
  for (const name of ['one', 'two'])
    assert.equal(await readFile(join(world.mount, name, 'file'), 'utf8'), '1');
  assert.equal(holder.exitCode, null, 'the backup still runs');
});

test('SIGKILL frees the lock at once, even when btrfs send lives on', async (t) => {
  const world = await createWorld(t);
  const holder = await startUpload(world);
  const pid = holder.pid ?? assert.fail('it has begun');
  const send = await until('btrfs send', async () =>
    (await childrenOf(pid)).find(({ name }) => name === 'btrfs'),
  );
  const lock = join(world.runDirectory, 'lock');
  assert.ok((await openFilesOf(pid)).includes(lock), 'the run holds the lock');
  // A stopped process does not notice that its reader is gone.
  process.kill(send.pid, 'SIGSTOP');
  world.cleanUp(async () => {
    try {
      process.kill(send.pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  });
  const exited = once(holder, 'exit');
  holder.kill('SIGKILL');
  await exited;
  const held = await openFilesOf(send.pid);
  assert.ok(held.length > 0, 'btrfs send lives on');
  assert.deepEqual(
    held.filter((path) => path.startsWith(world.runDirectory) && !path.includes('(deleted)')),
    [],
  );

  world.server.faults.clear();
  const next = await world.run('snapshot.ts');
  assert.equal(next.exitCode, 0, next.stderr);
  assert.match(next.stdout, /resuming unfinished/);
  process.kill(send.pid, 'SIGKILL');
  await world.backup();
  assert.equal((await world.run('verify.ts', '--deep')).exitCode, 0);
});

test('a dry run makes no RUN_DIR, and leaves the lock file as it is', async (t) => {
  const world = await createWorld(t);
  const first = await world.run('snapshot.ts', '--dry-run');
  assert.equal(first.exitCode, 0, first.stderr);
  await assert.rejects(stat(world.runDirectory), /ENOENT/);
  await world.backup();
  const before = await stat(join(world.runDirectory, 'lock'));
  assert.equal((await world.run('snapshot.ts', '--dry-run')).exitCode, 0);
  const { mtimeMs, ctimeMs } = await stat(join(world.runDirectory, 'lock'));
  assert.deepEqual([mtimeMs, ctimeMs], [before.mtimeMs, before.ctimeMs]);
});

test('a RUN_DIR that cannot be used is one line and exit 1, before anything is done', async (t) => {
  const world = await createWorld(t);
  const file = join(world.directory, 'file');
  await writeFile(file, '');
  const result = await world.run('snapshot.ts', '--set', `RUN_DIR=${file}`);
  assert.equal(result.exitCode, 1);
  const lines = errorLines(result);
  assert.equal(lines.length, 1, result.stderr);
  assert.match(lines[0] ?? '', /cannot use RUN_DIR .*; set RUN_DIR to a directory that can be written/);
  assert.deepEqual([await namesIn(world.snapshots), world.server.requests.length], [[], 0]);
  await rm(file);
});
