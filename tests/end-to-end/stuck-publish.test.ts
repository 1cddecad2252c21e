/** A backup that failed behind its manifest: it must be published in the end, whatever has changed meanwhile, and never be overwritten. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseManifest, serialiseDocument } from '../../lib/core/format/manifest.ts';
import type { SelectedSubvolume } from '../../lib/core/settings/rules.ts';
import { publishBackup } from '../../lib/stage/backup/publish/publish.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { proveIs, refusal, smallWorld, write } from './small-world.ts';
import { type Host, type HostOptions, hostIn } from './within-process.ts';
import { allKeys, namesIn, pointerKey, readObject, type World, writeObject } from './world.ts';

interface Stuck {
  readonly world: World;
  readonly host: Host;
  /** Of the manifest that is there without a pointer to it. */
  readonly key: string;
  readonly subvolume: SelectedSubvolume;
}

/** A full backup, and an incremental one whose pointer was refused. */
async function stuckBehindManifest(t: TestContext): Promise<Stuck> {
  const world = await smallWorld(t);
  const host = await hostIn(world);
  await write(world, 'a');
  await host.backUp();
  await write(world, 'b');
  await host.plan();
  await host.upload();
  world.server.faults.set([
    { fault: 'error', code: 'InvalidStorageClass', operation: 'PutObject', key: '*current.json' },
  ]);
  const subvolume = { name: 'data', path: world.data };
  await refusal(publishBackup(host.context, subvolume));
  world.server.faults.clear();
  const key = (await allKeys(world)).find((each) => each.includes('/incremental/manifest-')) ?? '';
  return { world, host, key, subvolume };
}

const pointsTo = async (world: World) => JSON.parse(await readObject(world, pointerKey)).manifest_key;

const changes: Readonly<Record<string, HostOptions>> = {
  'another name of the host': { hostName: 'renamed' },
  'another machine-id': { hostId: 'reinstalled' },
  'another CHUNK_SIZE': { settings: { CHUNK_SIZE: '5MiB' } },
  'another class of chunks': { settings: { STORAGE_CLASS_CHUNKS: 'STANDARD_IA' } },
};

for (const [what, options] of Object.entries(changes)) {
  test(`a manifest of ours is known again with ${what}, and nothing is sent again`, async (t) => {
    const { world, key } = await stuckBehindManifest(t);
    const before = await readObject(world, key);
    const since = world.server.requests.length;
    const host = await hostIn(world, options);
    const made = await host.backUp();
    assert.equal(made.key, key);
    assert.equal(await pointsTo(world), key);
    assert.equal(await readObject(world, key), before);
    const sent = world.server.requests.slice(since).filter(({ key: each }) => each?.endsWith('.bin'));
    assert.deepEqual(
      sent.filter(({ method }) => method !== 'HEAD' && method !== 'GET'),
      [],
    );
    await proveIs(world, await treeDigest(world.data));
  });
}

test('a manifest of ours by an earlier version of this tool, for another region, is known again', async (t) => {
  const { world, host, key } = await stuckBehindManifest(t);
  const { host_id: _, ...older } = parseManifest(await readObject(world, key), key, 'fleet/host-1');
  const tool = { name: 'btrfs-to-s3', version: '0.0.9' };
  const text = serialiseDocument({ ...older, tool, s3: { ...older.s3, region: 'garage' } });
  await writeObject(world, key, text);
  assert.equal((await host.backUp()).key, key);
  assert.equal(await readObject(world, key), text);
});

for (const [what, change] of Object.entries({
  'another snapshot': (text: string) => text.replace(/"uuid": "\w{8}/, '"uuid": "00000000'),
  'other chunks': (text: string) => text.replace(/"sha256": "\w{8}/, '"sha256": "00000000'),
  'nothing that can be read': () => '{}',
})) {
  test(`a manifest that names ${what} is another writer’s: it stays, and the next backup begins anew`, async (t) => {
    const { world, host, key, subvolume } = await stuckBehindManifest(t);
    const theirs = change(await readObject(world, key));
    await writeObject(world, key, theirs);
    const error = await refusal(publishBackup(host.context, subvolume));
    assert.match(error.message, /another writer was first: .*manifest-\w+\.json exists already/);
    const made = await host.backUp();
    assert.match(host.warnings.join('\n'), /an unfinished backup is given up: .*exists already/);
    assert.notEqual(made.key, key);
    assert.equal(await readObject(world, key), theirs);
    await proveIs(world, await treeDigest(world.data));
  });
}

test('upload alone never writes over the chunks of a manifest that is there', async (t) => {
  const { world, key } = await stuckBehindManifest(t);
  const theirs = (await readObject(world, key)).replace(/"uuid": "\w{8}/, '"uuid": "00000000');
  await writeObject(world, key, theirs);
  const since = world.server.requests.length;
  const host = await hostIn(world, { settings: { CHUNK_SIZE: '5MiB' } });
  assert.match((await refusal(host.upload())).message, /another writer was first/);
  const written = world.server.requests.slice(since).filter(({ method }) => method === 'PUT');
  assert.deepEqual(written, []);
});

test('a run that was killed behind its pointer is over: its snapshot stays, whatever else is gone', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world, { settings: { KEEP_SNAPSHOTS: '1' } });
  await write(world, 'a');
  await host.backUp();
  await write(world, 'b');
  await host.plan();
  await host.upload();
  const run = join(world.runDirectory, 'data');
  const files = await saved(run);
  const { manifestKey } = await publishBackup(host.context, { name: 'data', path: world.data });
  const [snapshot = ''] = await namesIn(world.snapshots);
  // As if it had died before it could forget them; the parent has gone since.
  await files.restore();
  await write(world, 'c');
  const next = await host.backUp();
  assert.deepEqual([next.manifest.kind, next.manifest.parent_manifest], ['incremental', manifestKey]);
  assert.match(next.reason, /^on the incremental of/);
  assert.match(snapshot, /__inc$/);
  assert.deepEqual(host.warnings, []);
  await proveIs(world, await treeDigest(world.data));
});

for (const stage of ['upload', 'publish'] as const) {
  for (const left of [['snapshot.json'], ['snapshot.json', 'upload.jsonl']]) {
    test(`${stage} alone keeps the snapshot of a run that was killed while it removed its files, with ${left.join(' and ')} left`, async (t) => {
      const world = await smallWorld(t);
      const host = await hostIn(world);
      await write(world, 'a');
      await host.plan();
      await host.upload();
      const run = join(world.runDirectory, 'data');
      const files = await saved(run);
      const subvolume = { name: 'data', path: world.data };
      const { manifestKey } = await publishBackup(host.context, subvolume);
      await files.restore(left);
      const since = world.server.requests.length;
      if (stage === 'upload') await host.upload();
      else assert.equal((await publishBackup(host.context, subvolume)).manifestKey, manifestKey);
      const sent = world.server.requests.slice(since).filter(({ key }) => key?.endsWith('.bin'));
      assert.deepEqual(sent, []);
      assert.deepEqual(
        (await readdir(run)).filter((name) => left.includes(name)),
        [],
      );
      await write(world, 'b');
      const next = await host.backUp();
      assert.equal(next.manifest.parent_manifest, manifestKey, next.reason);
    });
  }
}

test('upload alone gives up a backup of ours that is not the last one, when it knows nothing of its upload', async (t) => {
  const { world, host } = await stuckBehindManifest(t);
  const run = join(world.runDirectory, 'data');
  for (const name of ['chunks.json', 'upload.jsonl']) await rm(join(run, name));
  assert.match(
    (await refusal(host.upload())).message,
    /is in the bucket, and not the last one: it is given up/,
  );
  assert.equal((await namesIn(world.snapshots)).length, 1);
});

/** Keeps the files of a directory, to be put back later. */
async function saved(directory: string): Promise<{ restore: (names?: readonly string[]) => Promise<void> }> {
  const copy = await mkdtemp(`${directory}-`);
  await cp(directory, copy, { recursive: true });
  const all = await readdir(copy);
  assert.ok(all.includes('chunks.json'));
  return {
    async restore(names = all) {
      for (const name of names) await cp(join(copy, name), join(directory, name), { recursive: true });
    },
  };
}
