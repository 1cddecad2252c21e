/** Where a nested subvolume and the directory around it are deleted, btrfs send leaves a directory behind: no restore has it. */
import assert from 'node:assert/strict';
import { mkdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { makeNested, removeNested, strayName } from '../support/nested-subvolume.ts';
import { type BackedUp, breakOff } from './chain-of-five.ts';
import { refusal, write } from './small-world.ts';
import { type Host, hostIn } from './within-process.ts';
import { createWorld, namesIn, type World } from './world.ts';

async function backUp(host: Host) {
  const { key, manifest } = await host.backUp();
  return { key, manifest, tree: await treeDigest(manifest.snapshot.path) };
}

/** A full backup with the nested subvolume, an increment in which it is deleted, and one more. */
async function backUpThree(world: World, host: Host): Promise<readonly [BackedUp, BackedUp, BackedUp]> {
  await write(world, 'a', 'b');
  await mkdir(join(world.data, 'kept'));
  await makeNested(world.data);
  const full = await backUp(host);
  await removeNested(world.data);
  // As absurd as it is, a user may have named a directory so.
  await rename(join(world.data, 'kept'), join(world.data, 'o9-9-0'));
  const second = await backUp(host);
  await write(world, 'c');
  const third = await backUp(host);
  assert.deepEqual(
    [full, second, third].map(({ manifest }) => manifest.kind),
    ['full', 'incremental', 'incremental'],
  );
  return [full, second, third];
}

async function proveRestored(host: Host, target: string, { key, tree }: BackedUp): Promise<void> {
  const { proofs } = await host.restore(target, { manifest: key }, { verifyMode: 'full' });
  assert.match(proofs.join('\n'), /are equal/);
  assert.deepEqual(await treeDigest(target), tree);
  await shell`btrfs subvolume delete ${target}`;
}

test('each backup is restored as it was, from its beginning or from what a stopped restore has left', async (t) => {
  const world = await createWorld(t, { KEEP_SNAPSHOTS: '5' }, 512 * 2 ** 20);
  const host = await hostIn(world);
  const backups = await backUpThree(world, host);
  const target = join(world.mount, 'restored');

  await t.test('btrfs receive itself leaves a directory behind', async () => {
    const [full, second] = backups.map(({ manifest }) => manifest.snapshot.path);
    const elsewhere = await createLoopFilesystem({ name: 'plain', sizeBytes: 256 * 2 ** 20 });
    world.cleanUp(() => elsewhere.remove());
    for (const args of [[full], ['-p', full, second]])
      await shell`btrfs send -q ${args} | btrfs receive -q ${elsewhere.mountPoint}`;
    const names = await namesIn(join(elsewhere.mountPoint, backups[1].manifest.snapshot.name));
    assert.equal(names.filter((name) => name !== 'o9-9-0' && strayName.test(name)).length, 1, names.join());
  });

  for (const [index, backup] of backups.entries()) {
    await t.test(`backup ${index + 1}`, () => proveRestored(host, target, backup));
  }

  await t.test('a restore that was stopped behind the increment that leaves it', async () => {
    breakOff(world, backups[2]);
    await refusal(host.restore(target));
    assert.match(host.warnings.at(-1) ?? '', /^kept in \S+: 2 of 3 streams of data;/);
    world.server.faults.clear();
    await proveRestored(host, target, backups[2]);
  });
});

test('after a roll-back to before the deletion, the chain is restored: the directory comes into being again', async (t) => {
  const world = await createWorld(t, { KEEP_SNAPSHOTS: '5' }, 512 * 2 ** 20);
  const host = await hostIn(world);
  const [full] = await backUpThree(world, host);
  await shell`btrfs subvolume delete --commit-after ${world.data}`;
  await shell`btrfs subvolume snapshot ${full.manifest.snapshot.path} ${world.data}`;
  await write(world, 'd');
  const after = await backUp(host);
  assert.equal(after.manifest.kind, 'incremental');
  await proveRestored(host, join(world.mount, 'restored'), after);
});

test('a host that continues the chain on a copy has it or not, as its own snapshots do', async (t) => {
  const world = await createWorld(t, { KEEP_SNAPSHOTS: '5' }, 512 * 2 ** 20);
  const first = await hostIn(world);
  await backUpThree(world, first);
  const elsewhere = await createLoopFilesystem({ name: 'continued', sizeBytes: 512 * 2 ** 20 });
  world.cleanUp(() => elsewhere.remove());
  const data = join(elsewhere.mountPoint, 'data');
  const snapshots = join(elsewhere.mountPoint, 'snapshots');
  await mkdir(snapshots);
  const settings = { SNAPSHOT_DIR: snapshots, RUN_DIR: join(world.directory, 'other') };
  const host = await hostIn(world, { settings, path: data, hostName: 'host-2', hostId: 'two' });
  const { continued = '' } = await host.restore(data, {}, { continuesChain: true });
  const [stray = ''] = (await namesIn(continued)).filter((name) => name !== 'o9-9-0' && strayName.test(name));
  assert.notEqual(stray, '', 'the copy is what btrfs receive makes of the chain');
  assert.ok(!(await namesIn(data)).includes(stray));
  // As recover.sh or a restore by hand leaves it: then it is part of the data, and no stream speaks of it.
  await shell`btrfs subvolume delete ${data}`;
  await shell`btrfs subvolume snapshot ${continued} ${data}`;
  const bare = await hostIn(world, { settings: { RUN_DIR: join(world.directory, 'bare') } });
  const target = join(world.mount, 'restored');
  for (const change of [() => write({ ...world, data }, 'e'), () => rmdir(join(data, stray))]) {
    await change();
    const { key, tree, manifest } = await backUp(host);
    assert.equal(manifest.kind, 'incremental');
    await bare.restore(target, { manifest: key });
    // No stream has the time of the directory that was left: it is when that was received.
    const timeless = (lines: readonly string[]) =>
      lines.map((line) => (line.startsWith(`${stray} `) ? line.replace(/ mtime=\d+ns/, '') : line));
    assert.deepEqual(timeless(await treeDigest(target)), timeless(tree));
    await shell`btrfs subvolume delete ${target}`;
  }
});
