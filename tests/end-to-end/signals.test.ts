/** SIGINT, SIGTERM and SIGHUP to each script in the middle of its work: it ends soon, says so, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchedBytes } from './chain-of-five.ts';
import {
  processesAbout,
  type RunningScript,
  sendOfUpload,
  startScript,
  suspend,
  whileRunning,
} from './running-script.ts';
import { assertStopped, endOf, type Signal, storedBytes, worldWithData } from './stopped-script.ts';
import { allKeys, errorLines, mustSucceed, namesIn, type World, writeObject } from './world.ts';

const mib = 2 ** 20;

/** Bytes of chunks that the server received since a number of requests. */
function chunkBytes(world: World, since = 0): number {
  return world.server.requests
    .slice(since)
    .filter(({ key }) => key?.endsWith('.bin'))
    .reduce((sum, { bytesReceived }) => sum + bytesReceived, 0);
}

const asked = (world: World, operation: string, since: number) =>
  world.server.requests.slice(since).some((request) => request.operation === operation);

test('snapshot.ts while the server stalls: no snapshot is taken, and the next run takes one', async (t) => {
  const world = await worldWithData(t);
  const config = await world.settingsFile();
  for (const [name, operation] of [
    ['SIGINT', 'ListObjectsV2'],
    ['SIGTERM', 'GetObject'],
    ['SIGHUP', 'GetObject'],
  ] as const) {
    const before = world.server.requests.length;
    world.server.faults.set([{ fault: 'stall', operation }]);
    const running = startScript(world, config, 'snapshot.ts');
    await whileRunning(running, operation, () => asked(world, operation, before));
    running.child.kill(name);
    await assertStopped(world, running, name);
    assert.deepEqual(await namesIn(world.snapshots), []);
  }
  world.server.faults.clear();
  await mustSucceed(world, 'snapshot.ts');
  assert.equal((await namesIn(world.snapshots)).length, 1);
});

test('send-chunk-upload.ts in the middle of parts, and of nothing: what is stored is not sent again', async (t) => {
  const world = await worldWithData(t);
  // What the first run leaves to be stored must be more than there is memory for, or btrfs send ends before it is seen.
  await writeFile(join(world.data, 'more'), randomBytes(40 * mib));
  const config = await world.settingsFile();
  await mustSucceed(world, 'snapshot.ts');
  const slow = { fault: 'slow', bytesPerSecond: 3 * mib, operation: ['UploadPart', 'PutObject'] } as const;
  const moments: readonly (readonly [Signal, string, (running: RunningScript) => Promise<void>])[] = [
    [
      'SIGTERM',
      'in the middle of parts',
      async (running) => {
        world.server.faults.set([slow]);
        const before = world.server.requests.length;
        await whileRunning(running, 'some parts stored', () => storedBytes(world, before) > 8 * mib);
        await whileRunning(running, 'others half sent', () => {
          const parts = world.server.requests.filter(({ key }) => key?.endsWith('.bin'));
          return parts.some(({ status, bytesReceived }) => status === 0 && bytesReceived > mib);
        });
      },
    ],
    [
      'SIGINT',
      'while btrfs send neither sends nor ends',
      async (running) => {
        world.server.faults.set([{ ...slow, bytesPerSecond: mib }]);
        await whileRunning(running, 'btrfs send', async () => {
          const pid = await sendOfUpload(world.mount);
          if (pid !== undefined) await suspend(pid);
          return pid !== undefined;
        });
      },
    ],
    [
      'SIGHUP',
      'while it waits to try again',
      async (running) => {
        world.server.faults.set([
          { fault: 'error', code: 'SlowDown', retryAfter: 100, operation: 'UploadPart' },
        ]);
        await whileRunning(running, 'the wait', () => /trying again for/.test(running.said()));
      },
    ],
    [
      'SIGTERM',
      'while the server is silent about a part',
      async (running) => {
        world.server.faults.set([{ fault: 'stall', operation: 'UploadPart' }]);
        const before = world.server.requests.length;
        await whileRunning(running, 'a part', () => asked(world, 'UploadPart', before));
      },
    ],
    [
      'SIGINT',
      'while the server is silent about a whole chunk',
      async (running) => {
        world.server.faults.set([{ fault: 'stall', operation: 'CompleteMultipartUpload' }]);
        const before = world.server.requests.length;
        await whileRunning(running, 'completing', () => asked(world, 'CompleteMultipartUpload', before));
      },
    ],
  ];
  let interrupted = 0;
  for (const [name, moment, reach] of moments) {
    const running = startScript(world, config, 'send-chunk-upload.ts');
    await t.test(`${name} ${moment}`, async () => {
      await reach(running);
      running.child.kill(name);
      await assertStopped(world, running, name);
      interrupted += 1;
    });
    world.server.faults.clear();
  }
  assert.equal(interrupted, moments.length);
  const { manifest } = await world.backup();
  // Only what was in flight when a run was ended may be sent again: at most CONCURRENCY parts each time.
  const bound = manifest.total_bytes + interrupted * 4 * 5 * mib;
  const wasStored = storedBytes(world);
  assert.ok(wasStored <= bound, `${wasStored} bytes for a stream of ${manifest.total_bytes}`);
  assert.ok(chunkBytes(world) <= bound, `${chunkBytes(world)} bytes`);
  await mustSucceed(world, 'verify.ts', '--deep');
});

test('manifest.ts while the server stalls: the next run publishes the same backup', async (t) => {
  const world = await worldWithData(t);
  const config = await world.settingsFile();
  await mustSucceed(world, 'snapshot.ts');
  await mustSucceed(world, 'send-chunk-upload.ts');
  for (const [name, rule] of [
    ['SIGTERM', { operation: 'HeadObject' }],
    ['SIGINT', { operation: 'PutObject', key: '*manifest-*' }],
    ['SIGHUP', { operation: 'PutObject', key: '*current.json' }],
  ] as const) {
    const before = world.server.requests.length;
    world.server.faults.set([{ fault: 'stall', ...rule }]);
    const running = startScript(world, config, 'manifest.ts');
    await whileRunning(running, rule.operation, () => asked(world, rule.operation, before));
    await whileRunning(running, 'the stall', () => world.server.faults.list().some(({ fired }) => fired > 0));
    running.child.kill(name);
    await assertStopped(world, running, name);
  }
  // Of an earlier version, which is replaced.
  await writeObject(world, 'fleet/host-1/RESTORE.txt', 'old');
  world.server.faults.set([{ fault: 'stall', operation: 'PutObject', key: '*RESTORE.txt' }]);
  const running = startScript(world, config, 'manifest.ts');
  await whileRunning(running, 'the stall', () => world.server.faults.list().some(({ fired }) => fired > 0));
  running.child.kill('SIGTERM');
  await assertStopped(world, running, 'SIGTERM');
  world.server.faults.clear();
  assert.equal((await allKeys(world)).filter((key) => /manifest-/.test(key)).length, 1);
  const { manifest } = await world.backup();
  assert.equal(manifest.kind, 'incremental', 'what was published is built on');
  await mustSucceed(world, 'verify.ts', '--deep');
});

test('restore.ts: neither a staging directory nor TARGET is left, unless it was only comparing any more', async (t) => {
  const world = await worldWithData(t);
  // Holes are no bytes of the stream, but rsync reads them.
  await writeFile(join(world.data, 'holes'), '');
  await truncate(join(world.data, 'holes'), 6 * 1024 * mib);
  await world.backup();
  const config = await world.settingsFile();
  const target = join(world.mount, 'restored');
  const restore = () => startScript(world, config, 'restore.ts', '--subvolume', 'data', '--target', target);
  const slow = { fault: 'slow', bytesPerSecond: 2 * mib, operation: 'GetObject', key: '*.bin' } as const;
  const received = async () =>
    (await namesIn(world.mount)).some((name) => name.startsWith('.btrfs-to-s3-restore-'));
  const moments: readonly (readonly [Signal, string, (running: RunningScript) => Promise<void>])[] = [
    [
      'SIGINT',
      'in the middle of btrfs receive',
      async (running) => {
        world.server.faults.set([slow]);
        await whileRunning(running, 'btrfs receive', async () => {
          const [pid] = await processesAbout(world.mount, 'btrfs receive');
          return pid !== undefined && (await received());
        });
      },
    ],
    [
      'SIGTERM',
      'while the server is silent',
      async (running) => {
        world.server.faults.set([
          { fault: 'stall', operation: 'GetObject', key: '*.bin', skip: 2, bytes: 1000 },
        ]);
        await whileRunning(running, 'the stall', () => world.server.faults.list()[0]?.fired !== 0);
      },
    ],
  ];
  for (const [name, moment, reach] of moments) {
    const running = restore();
    await t.test(`${name} ${moment}`, async () => {
      await reach(running);
      running.child.kill(name);
      await assertStopped(world, running, name);
      assert.deepEqual(await namesIn(world.mount), ['data', 'snapshots']);
    });
    world.server.faults.clear();
  }
  const comparing = restore();
  await whileRunning(comparing, 'rsync', async () => (await processesAbout(world.mount, 'rsync')).length > 0);
  comparing.child.kill('SIGTERM');
  const ended = await endOf(comparing);
  assert.equal(ended.exitCode, 143, ended.stderr);
  assert.match(ended.stderr, /restored was restored, but not compared to the end/);
  assert.equal(errorLines(ended).length, 1);
  assert.deepEqual(await processesAbout(world.mount), []);
  const there = (await namesIn(world.mount)).filter((name) => !name.startsWith('.'));
  assert.deepEqual(there, ['data', 'restored', 'snapshots']);

  const since = world.server.requests.length;
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target, '--verify', 'none');
  assert.equal(fetchedBytes(world, since), 0, 'the next run finds it restored');
  assert.deepEqual(await namesIn(world.mount), ['data', 'restored', 'snapshots']);
});

test('verify.ts --deep in the middle of a chunk', async (t) => {
  const world = await worldWithData(t);
  await world.backup();
  const config = await world.settingsFile();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    world.server.faults.set([{ fault: 'slow', bytesPerSecond: mib, operation: 'GetObject', key: '*.bin' }]);
    const running = startScript(world, config, 'verify.ts', '--deep');
    await whileRunning(running, 'a chunk', () => world.server.faults.list()[0]?.fired !== 0);
    running.child.kill(name);
    await assertStopped(world, running, name);
  }
});

test('a signal before anything has begun: nothing is taken, sent or left', async (t) => {
  const world = await worldWithData(t);
  const config = await world.settingsFile();
  const listening: number[] = [];
  for (const afterMs of [0, 100, 300, 500, 700, 900, 1100]) {
    world.server.faults.set([{ fault: 'stall', operation: 'ListObjectsV2' }]);
    const running = startScript(world, config, 'snapshot.ts');
    await sleep(afterMs);
    running.child.kill('SIGTERM');
    const { exitCode, signal, stderr, stdout } = await endOf(running);
    // Before the script is loaded, the signal ends node itself.
    assert.ok(exitCode === 143 || signal === 'SIGTERM', `after ${afterMs} ms: ${exitCode} ${stderr}`);
    if (exitCode === 143) listening.push(afterMs);
    assert.equal(stdout, '');
    assert.deepEqual(await namesIn(world.snapshots), []);
  }
  t.diagnostic(`ended in order after ${listening.join(', ')} ms`);
  world.server.faults.clear();
  await mustSucceed(world, 'snapshot.ts');
});
