/** Something else on this host gets in the way: `btrfs` is killed, a snapshot that is in use is deleted. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { processesAbout, whileRunning } from '../end-to-end/running-script.ts';
import {
  addData,
  assertFailed,
  assertPublished,
  chunkBytes,
  concurrency,
  endsAtOnce,
  partBytes,
  proveBackup,
  proveRestore,
  receiving,
  restoreUnderWay,
  unfinishedUploads,
  uploadUnderWay,
  worldWithData,
} from '../end-to-end/under-way.ts';
import { createWorld, mustSucceed, namesIn, type World } from '../end-to-end/world.ts';

const _mib = 2 ** 20;
const quiet = shell({ nothrow: true });

/** A world with a backup, and more data for the next one, which is incremental. */
async function worldWithBackup(t: TestContext): Promise<World> {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'first'), 'first');
  await world.backup();
  await addData(world);
  return world;
}

const deleteSnapshot = (path: string) => quiet`btrfs subvolume delete --commit-after ${path}`;

test('btrfs send is killed in the middle of an upload: nothing is published, and the next run goes on', async (t) => {
  const world = await worldWithData(t);
  const upload = await uploadUnderWay(world);
  const [send = assert.fail('btrfs send does not run')] = await processesAbout(world.mount, 'btrfs send');
  process.kill(send, 'SIGKILL');
  await assertFailed(
    world,
    await upload.ended,
    /^btrfs send of .* was killed by SIGKILL; .*; run make backup again/,
  );
  await assertPublished(world, 0);
  assert.equal((await namesIn(world.snapshots)).length, 1, 'the snapshot is kept to go on with');

  world.server.faults.clear();
  const total = await proveBackup(world);
  const sent = chunkBytes(world.server);
  assert.ok(sent <= total + concurrency * partBytes, `${sent} bytes were sent for a stream of ${total}`);
  assert.deepEqual(await unfinishedUploads(world), []);
  assert.equal((await namesIn(world.snapshots)).length, 1, 'it resumed');
});

test('btrfs receive is killed in the middle of a restore: nothing is left, and the next one works', async (t) => {
  const world = await worldWithData(t);
  await world.backup();
  const target = join(world.mount, 'restored');
  const restore = await restoreUnderWay(world, target);
  process.kill(await receiving(world, restore), 'SIGKILL');
  await assertFailed(
    world,
    await restore.ended,
    /^btrfs receive was killed by SIGKILL; .*run the same command again/,
  );
  world.server.faults.clear();
  await proveRestore(world, target);
});

test('btrfs receive stands still, and the restore is asked to stop: it does, and nothing is left', async (t) => {
  const world = await worldWithData(t);
  await world.backup();
  const target = join(world.mount, 'restored');
  const restore = await restoreUnderWay(world, target);
  process.kill(await receiving(world, restore), 'SIGSTOP');
  world.server.faults.clear();
  let [asked, askedAtMs] = [0, Date.now()];
  await whileRunning(restore, 'all its memory waits for btrfs receive', () => {
    const { length } = world.server.requests;
    if (length !== asked) [asked, askedAtMs] = [length, Date.now()];
    return Date.now() - askedAtMs > 5000;
  });
  restore.child.kill('SIGTERM');
  const { exitCode, stderr } = await endsAtOnce(restore);
  assert.equal(exitCode, 143, stderr);
  assert.deepEqual(await processesAbout(world.mount, 'btrfs receive'), []);
  assert.deepEqual(await namesIn(world.mount), ['data', 'snapshots']);
  await proveRestore(world, target);
});

test('neither snapshot nor parent can be deleted while btrfs send reads them, and the upload does not notice', async (t) => {
  const world = await worldWithBackup(t);
  const upload = await uploadUnderWay(world);
  const snapshots = await namesIn(world.snapshots);
  assert.equal(snapshots.length, 2);
  for (const name of snapshots) {
    const refused = await deleteSnapshot(join(world.snapshots, name));
    assert.notEqual(refused.exitCode, 0, `${name} was deleted`);
  }
  assert.deepEqual(await namesIn(world.snapshots), snapshots);
  world.server.faults.clear();
  const { exitCode, stderr } = await upload.ended;
  assert.equal(exitCode, 0, stderr);
  await mustSucceed(world, 'manifest.ts');
  await assertPublished(world, 2);
  await proveRestore(world, join(world.mount, 'restored'));
});

test('the snapshot is deleted when btrfs send has read it whole: it is published, and the next backup is a full one', async (t) => {
  const world = await worldWithBackup(t);
  const upload = await uploadUnderWay(world);
  world.server.faults.set([{ fault: 'stall', ms: 3000, operation: 'CompleteMultipartUpload', next: 1 }]);
  await whileRunning(
    upload,
    'btrfs send has ended',
    async () => (await processesAbout(world.mount, 'btrfs send')).length === 0,
  );
  const [, snapshot = ''] = await namesIn(world.snapshots);
  assert.equal((await deleteSnapshot(join(world.snapshots, snapshot))).exitCode, 0);
  const { exitCode, stderr } = await upload.ended;
  assert.equal(exitCode, 0, stderr);
  await mustSucceed(world, 'manifest.ts');
  await assertPublished(world, 2);
  await proveRestore(world, join(world.mount, 'restored'));

  const { stdout } = await mustSucceed(world, 'snapshot.ts', '--dry-run', '--json');
  assert.equal(JSON.parse(stdout).subvolumes[0].kind, 'full', stdout);
});

test('the parent is deleted between an upload that broke off and the next run: that one says so, and makes a full backup', async (t) => {
  const world = await worldWithBackup(t);
  const [parent = ''] = await namesIn(world.snapshots);
  const upload = await uploadUnderWay(world);
  const [send = assert.fail('btrfs send does not run')] = await processesAbout(world.mount, 'btrfs send');
  process.kill(send, 'SIGKILL');
  assert.equal((await upload.ended).exitCode, 1);
  world.server.faults.clear();
  const path = join(world.snapshots, parent);
  assert.equal((await deleteSnapshot(path)).exitCode, 0);

  const alone = await world.run('send-chunk-upload.ts');
  await assertFailed(
    world,
    alone,
    new RegExp(`^btrfs send failed: the snapshot ${path} no longer exists; run: make backup`),
  );
  await assertPublished(world, 1);

  const { stderr } = await mustSucceed(world, 'snapshot.ts');
  assert.match(stderr, /an unfinished backup is given up: its parent snapshot is gone/);
  assert.deepEqual(await unfinishedUploads(world), []);
  await proveBackup(world);
  await assertPublished(world, 2);
  assert.deepEqual(await unfinishedUploads(world), []);
});
