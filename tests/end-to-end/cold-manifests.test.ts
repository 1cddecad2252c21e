/** Manifests that Intelligent-Tiering or a lifecycle rule has archived: what does not need them goes on, and what does requests them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { exitCodeOf } from '../../lib/core/errors.ts';
import { planPrunes, problemsOf } from '../../lib/stage/bucket/prune.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { permissionsOf } from '../support/iam-policy.ts';
import { clockReaches, proveIs, refusal, write } from './small-world.ts';
import { type Host, hostIn } from './within-process.ts';
import { createWorld, pointerKey, readObject, type World } from './world.ts';

interface ColdWorld {
  readonly world: World;
  readonly host: Host;
  /** Keys of the manifests, the full one first. */
  readonly keys: readonly [string, string, string];
}

/** A full backup and two incremental ones in a bucket whose thaws end when a test says so; the next one is due. */
async function coldWorld(t: TestContext): Promise<ColdWorld> {
  const changes = { STORAGE_CLASS_MANIFEST: 'INTELLIGENT_TIERING', INCREMENTAL_EVERY: '1s' };
  const world = await createWorld(t, changes, 512 * 2 ** 20, { thawDelayMs: 3_600_000 });
  const host = await hostIn(world);
  const keys: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    await write(world, name);
    const { key, manifest } = await host.backUp();
    keys.push(key);
    await clockReaches(manifest.created_at, 1);
  }
  const [full = '', first = '', second = ''] = keys;
  return { world, host, keys: [full, first, second] };
}

const thawsOf = ({ server }: World) =>
  server.requests
    .filter(({ operation }) => operation === 'RestoreObject')
    .map(({ key, status }) => [key, status]);

/** Moves an object as a lifecycle rule does. */
async function moveToGlacier(world: World, Key: string): Promise<void> {
  const Body = await readObject(world, Key);
  await world.client.send(new PutObjectCommand({ Bucket: 'backups', Key, Body, StorageClass: 'GLACIER' }));
}

test('an archived manifest of the chain: list and verify show the rest, prune keeps it, and backups go on', async (t) => {
  const { world, host, keys } = await coldWorld(t);
  await world.server.archive((key) => key === keys[0]);

  const list = await world.run('list.ts', '--json');
  assert.equal(list.exitCode, 0, list.stderr);
  const rows: readonly Record<string, unknown>[] = JSON.parse(list.stdout).backups;
  assert.deepEqual(
    rows.map((row) => [row.manifest_key, row.restorable, row.chunks, row.current]),
    [
      [keys[0], 'after a thaw', 0, false],
      [keys[1], 'after a thaw', 1, false],
      [keys[2], 'after a thaw', 1, true],
    ],
  );
  assert.match(String(rows[0]?.problem), /^is archived \(ARCHIVE_ACCESS\)/);
  assert.match(String(rows[2]?.why_not), /^its parent \S+full\/manifest-\S+ is archived/);
  const table = (await world.run('list.ts')).stdout;
  assert.equal(table.match(/thaw first: /g)?.length, 3, table);

  const verified = await host.verify();
  assert.deepEqual([verified.findings, verified.cold], [[], [keys[0]]]);
  assert.equal((await world.run('verify.ts')).exitCode, 5);

  const survey = await planPrunes(host.context);
  const problem = problemsOf(survey, undefined);
  assert.deepEqual([exitCodeOf(problem), survey.plans[0]?.removals], [5, []]);
  assert.match(problem?.message ?? '', /is kept, with everything that it builds on: is archived/);

  await write(world, 'd');
  const planned = await host.plan('auto', true);
  assert.equal('kind' in planned && planned.kind, 'incremental');
  await host.upload();
  const made = await host.backUp();
  assert.deepEqual([made.manifest.kind, made.manifest.parent_manifest], ['incremental', keys[2]]);
  assert.match(
    host.warnings.join('\n'),
    /data: the last backup builds on \S+, which is archived .*make thaw SUBVOLUME=data/,
  );
  assert.deepEqual(thawsOf(world), [], 'nobody asked for a thaw');
});

test('a restore requests every archived manifest at once, without days, and goes on when they are thawed', async (t) => {
  const { world, host, keys } = await coldWorld(t);
  await world.server.archive((key) => key.includes('/manifest-'));
  const dry = await world.run('thaw.ts', '--subvolume', 'data', '--dry-run');
  assert.deepEqual([dry.exitCode, thawsOf(world)], [5, []]);
  const restore = () =>
    world.run('restore.ts', '--subvolume', 'data', '--target', join(world.mount, 'r'), '--no-wait');
  const first = await restore();
  assert.equal(first.exitCode, 5, first.stderr);
  assert.match(first.stderr, /requested 3 documents out of the archive/);
  assert.match(
    first.stderr,
    /3 documents of 4 must be thawed first: .*they are requested: run the same command again then/,
  );
  assert.deepEqual(thawsOf(world).sort(), keys.map((key) => [key, 202]).sort());
  assert.equal((await world.run('thaw.ts', '--subvolume', 'data')).exitCode, 5);
  assert.equal(thawsOf(world).length, 3, 'nothing is requested twice');
  await world.server.thaws.finish();
  await proveIs(world, await treeDigest(world.data));
  assert.equal((await host.verify()).cold.length, 0);
});

test('an archived manifest of the last backup is requested, and the next night is incremental', async (t) => {
  const { world, host, keys } = await coldWorld(t);
  await moveToGlacier(world, keys[2]);
  await write(world, 'd');
  const config = ['--if-due', '--dry-run'];
  const dry = await world.run('backup.ts', ...config);
  assert.deepEqual([dry.exitCode, thawsOf(world)], [5, []], dry.stderr);

  world.server.permissions.set(permissionsOf('backup', 'backups', 'fleet/host-1'));
  const denied = await refusal(host.plan('auto', true));
  assert.match(denied.message, /is archived \(GLACIER\)/);
  assert.match(denied.hint ?? '', /^make thaw SUBVOLUME=data requests it/);
  assert.match(host.warnings.join('\n'), /cannot request the thaw of .*: access was denied/);
  world.server.permissions.clear();

  const requested = await refusal(host.plan('auto', true));
  assert.match(requested.message, /1 document of 4 must be thawed first: /);
  assert.equal(exitCodeOf(requested), 5);
  await world.server.thaws.finish();
  const { manifest } = await host.backUp();
  assert.deepEqual([manifest.kind, manifest.parent_manifest], ['incremental', keys[2]]);
});

test('a manifest that is archived while its child is uploaded keeps that from nothing', async (t) => {
  const { world, host, keys } = await coldWorld(t);
  await write(world, 'd');
  await host.plan();
  await host.upload();
  await moveToGlacier(world, keys[2]);
  const { publishBackup } = await import('../../lib/stage/backup/publish/publish.ts');
  const { manifest } = await publishBackup(host.context, { name: 'data', path: world.data });
  assert.equal(manifest.parent_manifest, keys[2]);
  assert.match(
    host.warnings.join('\n'),
    /the chain of \S+ cannot be checked now: .* is archived \(GLACIER\)/,
  );
});

test('an archived pointer: list shows every backup, and restores take MANIFEST=', async (t) => {
  const { world, host, keys } = await coldWorld(t);
  await moveToGlacier(world, pointerKey);
  const list = await world.run('list.ts', '--json');
  assert.deepEqual([list.exitCode, JSON.parse(list.stdout).backups.length], [0, 3]);
  assert.match(list.stderr, /current\.json is missing, damaged or archived/);
  assert.deepEqual((await host.verify()).cold, [pointerKey]);
  await proveIs(world, await treeDigest(world.data), keys[2]);
  const error = await refusal(host.plan());
  assert.equal(exitCodeOf(error), 5);
  await world.server.thaws.finish();
  assert.equal((await host.backUp()).manifest.kind, 'incremental');
});
