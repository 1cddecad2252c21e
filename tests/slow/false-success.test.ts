import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { readableTimestamp } from '../../lib/core/format/names.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import {
  createWorld,
  errorLines,
  namesIn,
  pointerKey,
  readObject,
  type World,
  writeObject,
} from '../end-to-end/world.ts';

const root = 'fleet/host-1/subvol/data';
const quiet = shell;

async function remove(world: World, key: string): Promise<void> {
  await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: key }));
}

test('another subvolume at the same path begins a new chain: a stream between strangers cannot be received', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  await world.backup();
  await rename(world.data, join(world.mount, 'old'));
  await quiet`btrfs subvolume create ${world.data}`;
  await mkdir(join(world.data, 'file'));
  const { manifest } = await world.backup();
  assert.equal(manifest.kind, 'full');
  const target = join(world.mount, 'restored');
  const restored = await world.run('restore.ts', '--subvolume', 'data', '--target', target);
  assert.equal(restored.exitCode, 0, restored.stderr);
});

test('an upload to one bucket is not published in another', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  for (const script of ['snapshot.ts', 'send-chunk-upload.ts']) {
    assert.equal((await world.run(script)).exitCode, 0);
  }
  const elsewhere = ['--set', 'S3_PREFIX=elsewhere'];
  assert.equal((await world.run('manifest.ts', ...elsewhere)).exitCode, 1, 'publishing alone refuses it');
  for (const script of ['send-chunk-upload.ts', 'manifest.ts', 'verify.ts']) {
    const result = await world.run(script, ...elsewhere);
    assert.equal(result.exitCode, 0, `${script}: ${result.stderr}`);
  }
});

test('a chunk that vanished before it was published is found, and sent by the next run', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(20 * 2 ** 20));
  for (const script of ['snapshot.ts', 'send-chunk-upload.ts']) {
    assert.equal((await world.run(script)).exitCode, 0);
  }
  const { stdout } = await quiet`ls ${join(world.runDirectory, 'data')}`;
  assert.match(stdout, /chunks\.json/);
  const [snapshot = ''] = await namesIn(world.snapshots);
  await remove(world, `${root}/full/chunk-${snapshot.split('__')[1]}-00001.bin`);
  const refused = await world.run('manifest.ts');
  assert.equal(refused.exitCode, 1);
  assert.match(errorLines(refused).join(), /nothing was published: chunk .*-00001\.bin is missing/);
  await world.backup();
  assert.equal((await world.run('verify.ts', '--deep')).exitCode, 0);
  assert.deepEqual(await namesIn(world.snapshots), [snapshot], 'the snapshot was used again');
});

test('damage in the bucket does not keep a host from its next backup, and verify names all that it breaks', async (t) => {
  const world = await createWorld(t);
  const keys: string[] = [];
  for (const content of ['1', '2', '3']) {
    await writeFile(join(world.data, 'file'), content);
    keys.push((await world.backup()).key);
  }
  const full = await readObject(world, keys[0] ?? '');
  await remove(world, keys[0] ?? '');
  const { findings } = JSON.parse((await world.run('verify.ts', '--json')).stdout);
  const named = findings.map(({ object }: { object: string }) => object);
  assert.deepEqual(named, [keys[1], keys[2]], 'what builds on a broken backup is broken as well');
  await writeObject(world, keys[0] ?? '', full);

  await writeObject(world, `${root}/current.json`, 'not a pointer');
  const listed = await world.run('list.ts', '--json');
  assert.equal(JSON.parse(listed.stdout).backups.length, 3, 'list shows what AT= can restore');
  await writeFile(join(world.data, 'file'), '4');
  const { manifest } = await world.backup();
  assert.equal(manifest.kind, 'full');
  assert.equal((await world.run('verify.ts')).exitCode, 0);
});

test('a subvolume of which only the pointer is left is not sound', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  const { key } = await world.backup();
  await remove(world, key);
  assert.equal((await world.run('verify.ts')).exitCode, 4);
});

test('a pointer that is gone is not taken for a subvolume that was never backed up', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  const { key, manifest } = await world.backup();
  await remove(world, pointerKey);
  const listed = await world.run('list.ts');
  assert.equal(listed.exitCode, 0, listed.stderr);
  assert.ok(
    listed.stderr.includes(`${pointerKey} is missing, damaged or archived, or names no backup`),
    listed.stderr,
  );
  const restore = (...args: readonly string[]) =>
    world.run('restore.ts', '--subvolume', 'data', '--target', join(world.mount, 'restored'), ...args);
  const refused = await restore();
  assert.equal(refused.exitCode, 4, refused.stderr);
  assert.deepEqual(errorLines(refused), [
    `${pointerKey} is missing, although there are backups; make verify shows all that is affected; these can be restored: AT=${readableTimestamp(manifest.created_at)}`,
  ]);
  const { exitCode, stderr } = await restore('--manifest', key);
  assert.equal(exitCode, 0, stderr);
});

test('a first backup that is under way is no damage, and there is nothing to verify yet', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  for (const script of ['snapshot.ts', 'send-chunk-upload.ts']) {
    assert.equal((await world.run(script)).exitCode, 0);
  }
  const verified = await world.run('verify.ts');
  assert.equal(verified.exitCode, 2);
  assert.match(verified.stderr, /data: there are chunks, but neither a manifest nor a pointer/);
  assert.match(errorLines(verified).join(), /there is no backup/);
});

test('the manifest says how its chunks were stored, not what the settings have become since', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  for (const script of ['snapshot.ts', 'send-chunk-upload.ts']) {
    assert.equal((await world.run(script)).exitCode, 0);
  }
  const published = await world.run('manifest.ts', '--json', '--set', 'STORAGE_CLASS_CHUNKS=STANDARD_IA');
  assert.equal(published.exitCode, 0, published.stderr);
  const manifest = JSON.parse(
    await readObject(world, JSON.parse(published.stdout).subvolumes[0].manifest_key),
  );
  assert.equal(manifest.s3.storage_class, 'STANDARD');
});

test('what fails after publishing is reported, and does not make the next run take the old snapshot up again', async (t) => {
  const world = await createWorld(t, { KEEP_SNAPSHOTS: '1' });
  await writeFile(join(world.data, 'file'), '1');
  const first = await world.backup();
  // The default subvolume cannot be deleted (btrfs-subvolume(8)).
  await quiet`btrfs subvolume set-default ${join(world.snapshots, first.manifest.snapshot.name)}`;
  await writeFile(join(world.data, 'file'), '2');
  const config = await world.settingsFile();
  const make = shell({ cwd: repositoryRoot, nothrow: true });
  const second = await make`make backup CONFIG=${config}`;
  assert.match(second.stderr, /is published, but 1 old snapshot could not be removed/);
  assert.match(second.stderr, /Error 1\b/);
  const pointer = JSON.parse(await readObject(world, `${root}/current.json`));
  await writeFile(join(world.data, 'file'), '3');
  await make`make backup CONFIG=${config}`;
  const next = JSON.parse(await readObject(world, `${root}/current.json`));
  assert.notEqual(next.manifest_key, pointer.manifest_key, 'the third backup is published as well');
});

test('a snapshot that was made writable is another user’s work, and is not thinned', async (t) => {
  const world = await createWorld(t, { KEEP_SNAPSHOTS: '1' });
  await writeFile(join(world.data, 'file'), '1');
  const { manifest } = await world.backup();
  await quiet`btrfs property set -t subvol ${join(world.snapshots, manifest.snapshot.name)} ro false`;
  await world.backup();
  assert.ok((await namesIn(world.snapshots)).includes(manifest.snapshot.name), 'it is still there');
});

test('KIND=full is not answered with an unfinished incremental backup', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  await world.backup();
  assert.equal((await world.run('snapshot.ts')).exitCode, 0);
  assert.equal((await world.backup('--kind', 'full')).manifest.kind, 'full');
  assert.equal((await namesIn(world.snapshots)).length, 2, 'the snapshot that was given up is gone');
});

test('make refuses a flag that is neither 1 nor 0, and variables from the environment', async (t) => {
  const world = await createWorld(t);
  await rm(world.runDirectory, { recursive: true, force: true });
  const config = await world.settingsFile();
  const make = (environment: Record<string, string>) =>
    shell({ cwd: repositoryRoot, nothrow: true, env: { ...process.env, SHLVL: '1', ...environment } });
  const odd = await make({})`make backup DRY_RUN=YES CONFIG=${config}`;
  assert.deepEqual([odd.exitCode, /DRY_RUN=YES is neither 1 nor 0/.test(odd.stderr)], [2, true]);
  const stray = await make({ DRY_RUN: '1' })`make backup CONFIG=${config}`;
  assert.deepEqual([stray.exitCode, /DRY_RUN is set in the environment/.test(stray.stderr)], [2, true]);
  assert.deepEqual(await namesIn(world.snapshots), []);
});
