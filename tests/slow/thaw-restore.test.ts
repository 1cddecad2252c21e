/** A restore out of an archive class: what is requested, how often it waits, and what is charged for. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import {
  archivedWorld,
  assertRequestedOnce,
  assertUnderWay,
  chunkKeys,
  isChunk,
  requestedKeys,
  untilTold,
} from '../end-to-end/archived-world.ts';
import { startScript, until, whileRunning } from '../end-to-end/running-script.ts';
import { namesIn, type World } from '../end-to-end/world.ts';

const restoreArgs = (world: World) => ['--subvolume', 'data', '--target', join(world.mount, 'restored')];

async function startRestore(world: World, ...args: readonly string[]) {
  return startScript(world, await world.settingsFile(), 'restore.ts', ...restoreArgs(world), ...args);
}

/** Starts a restore of a thawed chain and stops its first chunk's body halfway; what it had read then may go on. */
async function restoreHalfway(world: World, ...args: readonly string[]) {
  world.server.faults.set([
    { fault: 'stall', ms: 2000, bytes: 1000, operation: 'GetObject', key: '*.bin', next: 2 },
  ]);
  const restore = await startRestore(world, ...args);
  const reads = () =>
    world.server.requests.filter(({ operation, key }) => operation === 'GetObject' && isChunk(key)).length;
  await whileRunning(restore, 'two ranges are read', () => reads() === 2);
  await world.server.thaws.expire();
  return restore;
}

test('a full backup and 25 incrementals are thawed at once: a restore waits once', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: 2000, incrementals: 25 });
  const chunks = await chunkKeys(world);
  assert.equal(chunks.length, 28);
  const result = await world.run('restore.ts', ...restoreArgs(world));
  assert.equal(result.exitCode, 0, result.stderr);
  await assertRequestedOnce(world);
  const served = world.server.requests;
  const reads = served.filter(({ operation, key }) => operation === 'GetObject' && isChunk(key));
  const lastRequest = served.findLastIndex(({ operation }) => operation === 'RestoreObject');
  assert.equal(
    served.findIndex(({ operation, key }) => operation === 'GetObject' && isChunk(key)) > lastRequest,
    true,
    'all is requested before the first byte is read',
  );
  assert.deepEqual(
    reads.filter(({ status }) => status === 403),
    [],
    'nothing is read before it is thawed',
  );
  assert.match(result.stderr, /requested 28 chunks out of the archive \(Standard, 7 days\)/);
  assert.match(
    result.stderr,
    /waiting for the thaw: 0 of 28 chunks .*28 in progress; it takes 12h 00m at most/,
  );
  assert.match(result.stderr, /the thaw is done: 28 of 28 chunks/);
  assert.deepEqual(await treeDigest(join(world.mount, 'restored')), await treeDigest(world.data));
});

test('a restore that is killed while it waits resumes, and nothing is requested again', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: untilTold });
  const before = await namesIn(world.mount);
  const waiting = await startRestore(world);
  await whileRunning(waiting, 'it waits', () => waiting.said().includes('waiting for the thaw'));
  waiting.child.kill('SIGKILL');
  await waiting.ended;
  const next = await startRestore(world);
  await whileRunning(next, 'it waits', () => next.said().includes('waiting for the thaw'));
  await world.server.thaws.finish();
  const { exitCode, stderr } = await next.ended;
  assert.equal(exitCode, 0, stderr);
  assert.doesNotMatch(stderr, /requested \d/);
  await assertRequestedOnce(world);
  assert.deepEqual(await namesIn(world.mount), [...before, 'restored'].sort());
  assert.deepEqual(await treeDigest(join(world.mount, 'restored')), await treeDigest(world.data));
});

test('a stop while it waits ends at once and leaves nothing', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: untilTold });
  const before = await namesIn(world.mount);
  const waiting = await startRestore(world);
  await whileRunning(waiting, 'it waits', () => waiting.said().includes('waiting for the thaw'));
  waiting.child.kill('SIGTERM');
  assert.equal((await waiting.ended).exitCode, 143);
  assert.deepEqual(await namesIn(world.mount), before);
});

test('WAIT=0 requests what is missing, exits 5 and says it, and restores when all is thawed', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: untilTold });
  const { length } = await chunkKeys(world);
  const before = await namesIn(world.mount);
  const restore = () => world.run('restore.ts', ...restoreArgs(world), '--no-wait');
  const missing = new RegExp(
    `^${length} chunks of ${length} must be thawed first: 0 of ${length} chunks \\(0 B of .*\\) can be read, ` +
      `${length} in progress; it takes 12h 00m at most.*run the same command again then; make thaw SUBVOLUME=data MANIFEST=fleet/host-1/`,
  );
  assertUnderWay(await restore(), missing);
  assert.deepEqual(await namesIn(world.mount), before);
  assertUnderWay(await restore(), missing);
  await assertRequestedOnce(world);
  await world.server.thaws.finish();
  const result = await restore();
  assert.equal(result.exitCode, 0, result.stderr);
  await assertRequestedOnce(world);
});

test('a wait ends after RESTORE_TIMEOUT', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: untilTold, settings: { RESTORE_TIMEOUT: '2s' } });
  assertUnderWay(
    await world.run('restore.ts', ...restoreArgs(world)),
    /are not thawed after 2s \(RESTORE_TIMEOUT\)/,
  );
  await assertRequestedOnce(world);
});

test('copies that expire in the middle of a restore are thawed again, and it goes on', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: 1000, settings: { CONCURRENCY: '2' } });
  const { length } = await chunkKeys(world);
  const restore = await restoreHalfway(world);
  const { exitCode, stderr } = await restore.ended;
  assert.equal(exitCode, 0, stderr);
  assert.equal(stderr.split('cannot be read: its thawed copy has expired').length, 2, stderr);
  // The chunk that was found to be cold and all behind it, once; those before it are not needed any more.
  const again = requestedKeys(world).slice(length);
  assert.equal(again.length > 0 && again.length <= length, true, again.join());
  assert.deepEqual([...new Set(again)], again);
  assert.deepEqual(await treeDigest(join(world.mount, 'restored')), await treeDigest(world.data));
});

test('copies that expire in the middle of a restore that may not wait end it with 5, and leave nothing', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: untilTold, settings: { CONCURRENCY: '2' } });
  const before = await namesIn(world.mount);
  assert.equal((await world.run('thaw.ts', '--subvolume', 'data')).exitCode, 5);
  await world.server.thaws.finish();
  const restore = await restoreHalfway(world, '--no-wait');
  assertUnderWay(await restore.ended, /must be thawed first: .* in progress/);
  assert.deepEqual(await namesIn(world.mount), before);
});

test('GLACIER thaws with Expedited', async (t) => {
  const settings = { STORAGE_CLASS_CHUNKS: 'GLACIER', RESTORE_TIER: 'Expedited' };
  const world = await archivedWorld(t, { thawDelayMs: untilTold, settings });
  const restore = await startRestore(world);
  await until('it waits', () => restore.said().includes('; it takes 1m 00s to 5m 00s'));
  await world.server.thaws.finish();
  const { exitCode, stderr } = await restore.ended;
  assert.equal(exitCode, 0, stderr);
  await assertRequestedOnce(world);
});
