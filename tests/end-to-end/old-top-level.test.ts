/** The top level of a filesystem that mkfs.btrfs before 4.16 made: it has no UUID, and its snapshots name no parent. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { removeTopLevelUuid } from '../support/top-level-without-uuid.ts';
import { unmount, unmountEverywhere } from '../support/unmount-everywhere.ts';
import { proveIs, smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import type { World } from './world.ts';

/** A world whose `data` is the top level, which has no UUID. */
async function oldWorld(t: TestContext): Promise<World> {
  const world = await smallWorld(t);
  const device = (await shell`findmnt -n -o SOURCE ${world.mount}`).stdout.trim();
  const image = (await shell`losetup -n -O BACK-FILE ${device}`).stdout.trim();
  await unmountEverywhere(world.mount);
  await removeTopLevelUuid(image);
  await shell`mount -o loop ${image} ${world.mount}`;
  assert.match((await shell`btrfs subvolume show ${world.mount}`).stdout, /^\s+UUID:\s+-$/m);
  return { ...world, data: world.mount };
}

test('a top level without a UUID is backed up, the next time as an increment, and resumes', async (t) => {
  const world = await oldWorld(t);
  const host = await hostIn(world);
  await write(world, 'a', 'b');
  const full = await host.backUp();
  assert.equal(full.manifest.snapshot.source_uuid, undefined);
  await write(world, 'c');
  await host.plan();
  const next = await host.backUp();
  assert.match(next.reason, /^resuming unfinished /);
  assert.equal(next.manifest.kind, 'incremental');
  assert.equal(next.manifest.snapshot.parent_uuid, full.manifest.snapshot.uuid);
  await proveIs(world, await treeDigest(next.manifest.snapshot.path));

  // What is moved into a subvolume, as a snapshot of it, continues the chain.
  const moved = join(world.mount, 'moved');
  await shell`btrfs subvolume snapshot ${world.mount} ${moved}`;
  await write({ ...world, data: moved }, 'd');
  const after = await (await hostIn(world, { path: moved })).backUp();
  assert.equal(after.manifest.kind, 'incremental', after.reason);
  await proveIs(world, await treeDigest(after.manifest.snapshot.path));
});

test('snapshots that others take of it are increments too, and one of a subvolume that was made anew is not', async (t) => {
  const world = await oldWorld(t);
  const theirs = join(world.mount, 'theirs');
  await mkdir(theirs);
  const host = await hostIn(world, { snapshots: `${theirs}/*` });
  const backUp = async (name: string, of = world.mount) => {
    await shell`btrfs subvolume snapshot -r ${of} ${join(theirs, name)}`;
    const backup = await host.backUp();
    await proveIs(world, await treeDigest(join(theirs, name)));
    return backup;
  };
  await write(world, 'a', 'b');
  const full = await backUp('1');
  await write(world, 'c');
  const next = await backUp('2');
  assert.equal(next.manifest.kind, 'incremental', next.reason);
  assert.equal(next.manifest.snapshot.parent_uuid, full.manifest.snapshot.uuid);
  const anew = join(world.mount, 'anew');
  await shell`btrfs subvolume create ${anew}`;
  await write({ ...world, data: anew }, 'a', 'b', 'c');
  const { manifest, reason } = await backUp('3', anew);
  assert.equal(manifest.kind, 'full');
  assert.match(reason, /: it was made anew, or received in full$/);
});

test('one that is mounted in SNAPSHOT_DIR stops no backup of another subvolume', async (t) => {
  const world = await oldWorld(t);
  const data = join(world.mount, 'data');
  const place = join(world.snapshots, 'old');
  await mkdir(place);
  await shell`mount --bind ${world.mount} ${place}`;
  world.cleanUp(() => unmount(place));
  await write({ ...world, data }, 'a');
  const { manifest } = await (await hostIn(world, { path: data })).backUp();
  assert.equal(manifest.kind, 'full');
});
