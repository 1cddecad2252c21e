/** The S3 server goes away, refuses or asks for patience in the middle of a run. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { type S3Server, startS3Server } from '../../testing/s3-server/server.ts';
import { whileRunning } from '../end-to-end/running-script.ts';
import {
  chunkBytes,
  concurrency,
  partBytes,
  proveBackup,
  restoreUnderWay,
  slowUpload,
  uploadUnderWay,
} from '../end-to-end/under-way.ts';
import { createWorld, errorLines, mustSucceed, namesIn, secret, type World } from '../end-to-end/world.ts';

const mib = 2 ** 20;

async function worldWithData(t: TestContext, changes: Readonly<Record<string, string>> = {}): Promise<World> {
  const world = await createWorld(t, changes);
  await writeFile(join(world.data, 'random'), randomBytes(60 * mib));
  return world;
}

/** The server again, on the same port and directory, as after a reboot. */
async function startAgain(world: World): Promise<S3Server> {
  const { port } = world.server;
  const directory = join(world.directory, 's3');
  const account = { accessKeyId: 'end-to-end', secretAccessKey: secret };
  const server = await startS3Server({ directory, port, ...account });
  world.cleanUp(() => server.stop());
  return server;
}

/** Proves the backup, and that both servers together got no more than what was in flight twice. */
async function proveNothingTwice(world: World, second: S3Server): Promise<void> {
  const total = await proveBackup(world);
  const sent = chunkBytes(world.server) + chunkBytes(second);
  assert.ok(sent <= total + concurrency * partBytes, `${sent} bytes were sent for a stream of ${total}`);
}

test('a server that restarts in the middle of an upload and of a restore is waited for', async (t) => {
  const world = await worldWithData(t);
  const upload = await uploadUnderWay(world);
  await world.server.stop();
  await whileRunning(upload, 'requests that fail', () => /refused.*trying again/i.test(upload.said()));
  const second = await startAgain(world);
  const uploaded = await upload.ended;
  assert.equal(uploaded.exitCode, 0, uploaded.stderr);
  assert.deepEqual(errorLines(uploaded), []);
  await proveNothingTwice(world, second);

  const target = join(world.mount, 'restored');
  const restore = await restoreUnderWay(world, target, second);
  await second.stop();
  await whileRunning(restore, 'requests that fail', () => /refused.*trying again/i.test(restore.said()));
  await startAgain(world);
  const restored = await restore.ended;
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.deepEqual(errorLines(restored), []);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
});

test('a server that is away for longer than RETRY_FOR ends the run in one line, and the next one goes on', async (t) => {
  const world = await worldWithData(t, { RETRY_FOR: '3s' });
  const upload = await uploadUnderWay(world);
  await world.server.stop();
  const uploaded = await upload.ended;
  assert.equal(uploaded.exitCode, 1, uploaded.stderr);
  assert.equal(errorLines(uploaded).length, 1, uploaded.stderr);
  assert.match(
    errorLines(uploaded)[0] ?? '',
    /^cannot (begin|store|complete) .*: the connection was refused .*; check /,
  );
  const second = await startAgain(world);
  await proveNothingTwice(world, second);

  const target = join(world.mount, 'restored');
  const restore = await restoreUnderWay(world, target, second);
  await second.stop();
  const restored = await restore.ended;
  assert.equal(restored.exitCode, 1, restored.stderr);
  assert.equal(errorLines(restored).length, 1, restored.stderr);
  assert.match(errorLines(restored)[0] ?? '', /^cannot read .*: the connection was refused .*; check /);
  assert.deepEqual(await namesIn(world.mount), ['data', 'snapshots']);
  await startAgain(world);
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
});

test('a server that asks to slow down gets half as many parts at once, and all of them again later', async (t) => {
  const world = await worldWithData(t, { CHUNK_SIZE: '64MiB' });
  await mustSucceed(world, 'snapshot.ts');
  // Slow enough for the second request to come when the first is over, by which time there are four at once again.
  const slowDown = { fault: 'error', code: 'SlowDown', operation: 'UploadPart', retryAfter: 0 } as const;
  world.server.faults.set([
    { ...slowDown, skip: 1, next: 1 },
    { ...slowDown, skip: 8, next: 1 },
    { ...slowUpload, bytesPerSecond: 5 * mib },
  ]);
  const uploaded = await world.run('send-chunk-upload.ts');
  assert.equal(uploaded.exitCode, 0, uploaded.stderr);
  const slowed = uploaded.stderr.match(/asks to slow down: [^"]*/g);
  const half = 'asks to slow down: 2 parts at once from now on';
  assert.deepEqual(slowed, [half, half], 'there were four at once again');
  world.server.faults.clear();
  await proveBackup(world);
});

test('a run that is asked to slow down again and again succeeds', async (t) => {
  const world = await worldWithData(t);
  const slowDown = { fault: 'error', code: 'SlowDown', every: 3, retryAfter: 0 } as const;
  world.server.faults.set([slowDown]);
  await proveBackup(world);
  const fired = world.server.faults.list()[0]?.fired ?? 0;
  assert.ok(fired > 20, `${fired} times`);
});
