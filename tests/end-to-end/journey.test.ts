import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { mutateData, seedData } from '../../testing/harness/seed-data.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { createWorld, namesIn, runProcess } from './world.ts';

test('a full and two incremental backups restore bit for bit at each point, and on a host that has nothing', async (t) => {
  const world = await createWorld(t);
  await seedData(world.data, { seed: 1, totalBytes: 24 * 2 ** 20 });

  const points: { readonly time: string; readonly digest: readonly string[]; readonly key: string }[] = [];
  for (const round of [0, 1, 2]) {
    if (round > 0) await mutateData(world.data, { seed: 1, round });
    const { key, manifest } = await world.backup();
    assert.equal(manifest.kind, round === 0 ? 'full' : 'incremental');
    assert.equal(manifest.parent_manifest, points.at(-1)?.key ?? null);
    const digest = await treeDigest(join(world.snapshots, manifest.snapshot.name));
    assert.notDeepEqual(digest, points.at(-1)?.digest);
    points.push({ time: manifest.created_at, digest, key });
  }
  assert.equal((await namesIn(world.snapshots)).length, 2, 'KEEP_SNAPSHOTS is 2');

  await t.test('the newest, with every file compared to its source snapshot', async () => {
    const target = join(world.mount, 'newest');
    const result = await world.run('restore.ts', '--subvolume', 'data', '--target', target);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.match(result.stdout, /the content of all files are equal/);
    assert.deepEqual(await treeDigest(target), points[2]?.digest);
  });

  await t.test('the one before, by AT=', async () => {
    const target = join(world.mount, 'before');
    const result = await world.run(
      'restore.ts',
      '--subvolume',
      'data',
      '--target',
      target,
      '--at',
      points[1]?.time ?? '',
    );
    assert.equal(result.exitCode, 0, result.stderr);
    assert.deepEqual(await treeDigest(target), points[1]?.digest);
  });

  await t.test('the first, by MANIFEST=, read-only', async () => {
    const target = join(world.mount, 'first');
    const args = [
      '--subvolume',
      'data',
      '--target',
      target,
      '--manifest',
      points[0]?.key ?? '',
      '--read-only',
    ];
    const result = await world.run('restore.ts', ...args);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.match(result.stdout, /source snapshot is not on this host/, 'the first snapshot was thinned');
    assert.deepEqual(await treeDigest(target), points[0]?.digest);
  });

  await t.test(
    'on a host with an empty RUN_DIR, no snapshots and only the bucket in its settings',
    async (t2) => {
      const other = await createWorld(t2);
      const config = await other.settingsFile({
        ...Object.fromEntries(['SUBVOLUMES', 'SNAPSHOT_DIR'].map((key) => [key, undefined])),
        AWS_ENDPOINT_URL_S3: world.server.endpoint,
      });
      const target = join(other.mount, 'restored here');
      const made = await runProcess('make', [
        'restore',
        `CONFIG=${config}`,
        'SUBVOLUME=data',
        `TARGET=${target}`,
      ]);
      assert.equal(made.exitCode, 0, made.stderr);
      assert.deepEqual(await treeDigest(target), points[2]?.digest);
      assert.deepEqual(
        await namesIn(other.mount),
        ['data', 'restored here', 'snapshots'],
        'no staging directory is left',
      );
    },
  );

  await t.test('nothing but what was asked for is left on the filesystem', async () => {
    assert.deepEqual(await namesIn(world.mount), ['before', 'data', 'first', 'newest', 'snapshots']);
    assert.deepEqual(await namesIn(join(world.runDirectory, 'data')), ['published.json', 'taken.json']);
  });

  await t.test('verify finds it sound, every byte of it', async () => {
    const result = await world.run('verify.ts', '--deep', '--json');
    assert.equal(result.exitCode, 0, result.stderr);
    const { findings, manifests } = JSON.parse(result.stdout);
    assert.deepEqual({ findings, manifests }, { findings: [], manifests: 3 });
  });
});
