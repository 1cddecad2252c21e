/** ALL=1: every subvolume of the host below one directory. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { seal } from '../../lib/edge/files/checked-json.ts';
import { writeJsonFile } from '../../lib/edge/files/files.ts';
import { openRestoreOfAll } from '../../lib/stage/restore/restore-all.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { archivedWorld } from './archived-world.ts';
import { fetchedBytes } from './chain-of-five.ts';
import { refusal, smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { errorLines, namesIn, readBytes, type World, writeObject } from './world.ts';

/** Backs up `data`, `home` and `photos`, the last of which lies in `data`. */
async function worldOfThree(t: TestContext) {
  const world = await smallWorld(t);
  const paths = { data: world.data, home: join(world.mount, 'home'), photos: join(world.data, 'photos') };
  await shell`btrfs subvolume create ${paths.home}`;
  await shell`btrfs subvolume create ${paths.photos}`;
  const backups = new Map<string, string>();
  for (const [name, path] of Object.entries(paths)) {
    await write({ ...world, data: path }, `of-${name}`);
    const { manifest } = await (await hostIn(world, { name, path })).backUp();
    backups.set(name, manifest.chunks[0]?.key ?? '');
  }
  return { world, paths, chunkOf: (name: string) => backups.get(name) ?? '' };
}

async function restoreAll(world: World, directory: string, ...args: readonly string[]) {
  return world.run('restore.ts', '--all', '--target', directory, ...args);
}

test('one subvolume that cannot be restored does not stop the others, and the same command goes on when it can', async (t) => {
  const { world, paths, chunkOf } = await worldOfThree(t);
  const directory = join(world.mount, 'all');
  const chunk = await readBytes(world, chunkOf('home'));
  await writeObject(world, chunkOf('home'), 'damaged');
  const first = await restoreAll(world, directory);
  assert.equal(first.exitCode, 4, first.stderr);
  assert.equal(errorLines(first).length, 1, first.stderr);
  assert.match(errorLines(first)[0] ?? '', /^home: chunk \S+ has 7 bytes/);
  assert.match(first.stderr, /failed: home; the errors above say why, and the same command goes on/);
  assert.doesNotMatch(first.stderr, /not restored: the nested subvolume photos/, 'it is beside it');
  assert.match(first.stdout, /^restored data to \S+all\/data: 1 backup, [\s\S]*^restored photos to /m);
  const photos = await treeDigest(join(directory, 'photos'));
  assert.deepEqual(photos, await treeDigest(paths.photos));
  assert.ok(
    (await readFile(join(directory, 'data/of-data'))).equals(await readFile(join(paths.data, 'of-data'))),
  );

  await writeObject(world, chunkOf('home'), chunk);
  // A newer backup of one that is done is another point in time.
  const newer = await (await hostIn(world, { name: 'photos', path: paths.photos })).backUp();
  const mixed = await restoreAll(world, directory, '--at', newer.manifest.created_at);
  assert.equal(mixed.exitCode, 2, mixed.stderr);
  assert.match(
    errorLines(mixed).join(),
    /^photos: \S+all\/photos holds \S+\/photos\/full\/manifest-\S+ of \S+, which an earlier run restored, and AT=\S+ means another backup/,
  );
  // So is a backup of another host that has a subvolume of the same name.
  const record = join(directory, '.btrfs-to-s3-restored.json');
  const { restored } = JSON.parse(await readFile(record, 'utf8'));
  const other = { ...restored, data: { ...restored.data, bucket: 'backups/another-host' } };
  await writeJsonFile(record, seal({ restored: other }));
  const foreign = await restoreAll(world, directory);
  assert.equal(foreign.exitCode, 2, foreign.stderr);
  assert.match(
    errorLines(foreign).join(),
    /^data: .* of backups\/another-host, .* that is another bucket or prefix/,
  );
  await writeJsonFile(record, seal({ restored }));
  await shell`btrfs subvolume delete ${join(directory, 'home')}`;
  const since = world.server.requests.length;
  const second = await restoreAll(world, directory, '--json');
  assert.equal(second.exitCode, 0, second.stderr);
  const { subvolumes, failed } = JSON.parse(second.stdout);
  assert.deepEqual([subvolumes.map((each: { subvolume: string }) => each.subvolume), failed], [['home'], []]);
  assert.match(second.stderr, /data was restored to \S+ by an earlier run/);
  assert.equal(fetchedBytes(world, since), chunk.length, 'only that of home');
  assert.deepEqual(await namesIn(directory), ['data', 'home', 'photos']);
});

test('what is in the way of one subvolume is not replaced, and all together have to fit', async (t) => {
  const { world } = await worldOfThree(t);
  const directory = join(world.mount, 'all');
  await mkdir(join(directory, 'home'), { recursive: true });
  const taken = await restoreAll(world, directory, '--verify', 'none');
  assert.equal(taken.exitCode, 2, taken.stderr);
  assert.match(errorLines(taken).join(), /^home: TARGET \S+all\/home exists already/);
  assert.deepEqual(
    (await namesIn(directory)).filter((name) => !name.startsWith('.')),
    ['data', 'home', 'photos'],
  );

  const bad = await world.run('restore.ts', '--all', '--subvolume', 'data', '--target', directory);
  assert.equal(bad.exitCode, 2);
  assert.match(errorLines(bad).join(), /^ALL=1 and SUBVOLUME do not go together/);
});

test('all thaws are requested before the first subvolume is waited for', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: 3_600_000 });
  const home = join(world.mount, 'home');
  await shell`btrfs subvolume create ${home}`;
  await write({ ...world, data: home }, 'of-home');
  const host = await hostIn(world, { name: 'home', path: home });
  await host.backUp();
  const directory = join(world.mount, 'all');
  const all = await openRestoreOfAll(host.context, {
    directory,
    at: undefined,
    verifyMode: 'none',
    readOnly: false,
    thaw: {},
    mayWait: false,
  });
  const requested = new Set(
    world.server.requests.flatMap(({ operation, key }) =>
      operation === 'RestoreObject' && key ? [key.split('/')[3]] : [],
    ),
  );
  assert.deepEqual([...requested].sort(), ['data', 'home']);
  const [first] = all.subvolumes;
  assert.ok(first);
  assert.equal((await refusal(all.restore(first))).kind, 'thaw');
});
