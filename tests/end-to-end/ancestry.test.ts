/** Increments across gone snapshots, rollbacks and clones: planned where they are right, and restored to the bit. */
import assert from 'node:assert/strict';
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { clockReaches, proveIs, smallWorld, write } from './small-world.ts';
import { type Host, hostIn } from './within-process.ts';
import type { World } from './world.ts';

const snapshot = (of: string, at: string) => shell`btrfs subvolume snapshot -r ${of} ${at}`;
const writable = (of: string, at: string) => shell`btrfs subvolume snapshot ${of} ${at}`;
const remove = (path: string) => shell`btrfs subvolume delete --commit-after ${path}`;

/** Backs up, and remembers what a restore has to bring back. */
async function backUp(host: Host, proofs: [key: string, tree: unknown][]) {
  const backup = await host.backUp();
  proofs.push([backup.key, await treeDigest(backup.manifest.snapshot.path)]);
  return backup;
}

async function proveAll(world: World, proofs: readonly [key: string, tree: unknown][]): Promise<void> {
  for (const [key, tree] of proofs) await proveIs(world, tree, key);
}

/** A copy of another host's snapshots, as btrbk keeps it: each day one is received onto that of the day before. */
async function dailyCopies(world: World) {
  const source = await createLoopFilesystem({ name: 'source', sizeBytes: 256 * 2 ** 20 });
  world.cleanUp(() => source.remove());
  const home = join(source.mountPoint, 'home');
  const target = join(world.mount, 'btrbk');
  await shell`btrfs subvolume create ${home}`;
  await mkdir(target);
  const of = (day: number) => join(source.mountPoint, `home.${day}`);
  return {
    target,
    at: (day: number) => join(target, `home.${day}`),
    async receive(day: number): Promise<void> {
      await snapshot(home, of(day));
      const on = day > 1 ? ['-p', of(day - 1)] : [];
      await shell`btrfs send -q ${on} ${of(day)} | btrfs receive -q ${target}`;
    },
    home,
  };
}

test('a weekly backup of a daily copy is incremental, although the snapshots between are deleted', async (t) => {
  const world = await smallWorld(t);
  const { target, at, receive, home } = await dailyCopies(world);
  const there = { ...world, data: home };
  const host = await hostIn(world, { snapshots: `${target}/home.*` });
  const proofs: [string, unknown][] = [];
  await write(there, 'a', 'b');
  await receive(1);
  await backUp(host, proofs);
  await write(there, 'c');
  await receive(2);
  const second = await backUp(host, proofs);
  assert.equal(second.manifest.kind, 'incremental');
  for (const day of [3, 4, 5, 6]) {
    await write(there, `of-${day}`);
    await rm(join(home, day === 5 ? 'a' : 'nothing'), { force: true });
    await receive(day);
  }
  for (const day of [3, 4, 5]) await remove(at(day));
  const sixth = await backUp(host, proofs);
  assert.equal(sixth.manifest.kind, 'incremental', sixth.reason);
  assert.equal(sixth.manifest.snapshot.parent_uuid, second.manifest.snapshot.uuid);
  await proveAll(world, proofs);

  // The other host has begun a new copy: nothing of it is of what was backed up.
  await remove(at(6));
  await remove(at(2));
  // The three backups may be of one second, and are published under times of their own.
  await clockReaches(sixth.manifest.created_at);
  await shell`btrfs send -q ${join(home, '..', 'home.6')} | btrfs receive -q ${target}`;
  const anew = await host.plan();
  assert.match(
    'reason' in anew ? anew.reason : '',
    /^parent snapshot \S+home\.6 was received of another state than was backed up$/,
  );
});

test('a backup after a rollback is incremental, whether the old state is kept or not, and the plan says so', async (t) => {
  const world = await smallWorld(t);
  const proofs: [string, unknown][] = [];
  const host = await hostIn(world);
  await write(world, 'a', 'b');
  const old = join(world.mount, 'old');
  await snapshot(world.data, old);
  await write(world, 'c');
  await rm(join(world.data, 'a'));
  await backUp(host, proofs);
  await rename(world.data, join(world.mount, 'broken'));
  await writable(old, world.data);
  await write(world, 'd');
  const after = await backUp(host, proofs);
  assert.equal(after.manifest.kind, 'incremental');
  assert.match(after.reason, /^on the full of \S+, across a rollback$/);

  // Once more, and nothing is left of the way back.
  await write(world, 'e');
  await backUp(host, proofs);
  await remove(world.data);
  await writable(old, world.data);
  await remove(old);
  await remove(join(world.mount, 'broken'));
  await write(world, 'f');
  const dry = await host.plan('auto', false, true);
  assert.match(
    'reason' in dry ? dry.reason : '',
    /^on the incremental of \S+, if a look at all inodes allows it$/,
  );
  const last = await backUp(host, proofs);
  assert.equal(last.manifest.kind, 'incremental', last.reason);
  await proveAll(world, proofs);
});

test('a clone that was written to while the subvolume was is sent in full, with the reason; the snapshot says so', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world);
  await write(world, 'a');
  const clone = join(world.mount, 'clone');
  await writable(world.data, clone);
  await mkdir(join(clone, 'new'));
  await symlink('a', join(world.data, 'new'));
  await host.backUp();
  await remove(world.data);
  await rename(clone, world.data);
  await assert.rejects(
    host.plan('incremental'),
    /an incremental backup of data is not possible: no increment on parent snapshot \S+ would be right: inode \d+ is a directory/,
  );
  const next = await host.backUp();
  assert.equal(next.manifest.kind, 'full');
  assert.match(
    next.reason,
    /^no increment on parent snapshot data__\w+__full would be right: inode \d+ is a directory/,
  );
  assert.match(next.manifest.snapshot.path, /__full$/);
  const names = (await shell`ls ${world.snapshots}`).stdout.trim().split('\n');
  assert.equal(names.length, 2, 'the one that was taken for an increment is gone');
  await proveIs(world, await treeDigest(next.manifest.snapshot.path));
});

test('a subvolume that was made anew is sent in full, and the plan says why', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world);
  await write(world, 'a');
  await host.backUp();
  await rename(world.data, join(world.mount, 'before'));
  await shell`btrfs subvolume create ${world.data}`;
  const plan = await host.plan();
  assert.match(
    'reason' in plan ? plan.reason : '',
    /^the subvolume is not the one of parent snapshot \S+: it was made anew, or received in full$/,
  );
});
