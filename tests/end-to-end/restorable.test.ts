/** What exits 0 can be restored, to the bit: of sources and layouts that people have, each of which once could not. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { exitCodeOf } from '../../lib/core/errors.ts';
import { showSubvolume } from '../../lib/edge/btrfs/btrfs.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { dedupe, edit, markReceived, proveIs, refusal, smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { allKeys } from './world.ts';

test('a subvolume with a received UUID is backed up so that its increments can be distinguished', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a', 'b');
  await markReceived(world.data);
  const host = await hostIn(world);
  const trees: [key: string, tree: unknown][] = [];
  for (const change of [
    async () => undefined,
    () => write(world, 'c', 'd'),
    async () => {
      await rm(join(world.data, 'd'));
      await shell`cp --reflink=always ${join(world.data, 'c')} ${join(world.data, 'e')}`;
    },
  ]) {
    await change();
    const { key, manifest } = await host.backUp();
    assert.equal(manifest.snapshot.received_uuid, null);
    trees.push([key, await treeDigest(manifest.snapshot.path)]);
  }
  assert.deepEqual(
    trees.map(([key]) => key.includes('/full/')),
    [true, false, false],
  );
  for (const [key, tree] of trees) await proveIs(world, tree, key);
  assert.deepEqual((await host.verify(true)).findings, []);
});

test('adopted snapshots that share a received UUID are each sent in full, and the plan says why', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await markReceived(world.data);
  const theirs = join(world.mount, 'theirs');
  await mkdir(theirs);
  const settings = { SUBVOLUMES: `data=snapshots:${theirs}/*` };
  const host = await hostIn(world, { settings });
  const { prepareSnapshot } = await import('../../lib/stage/backup/snapshot.ts');
  const { publishBackup } = await import('../../lib/stage/backup/publish/publish.ts');
  const subvolume = { name: 'data', snapshots: `${theirs}/*` };
  for (const [day, kind] of [
    ['1', 'full'],
    ['2', 'full'],
  ] as const) {
    await write(world, `of-${day}`);
    await shell`btrfs subvolume snapshot -r ${world.data} ${join(theirs, day)}`;
    const request = { kind: 'auto', ifDue: false, dryRun: false } as const;
    const planned = await prepareSnapshot(host.context, subvolume, request);
    assert.equal('kind' in planned && planned.kind, kind);
    if (day === '2')
      assert.match('reason' in planned ? planned.reason : '', /received UUID of one that its chain holds/);
    await host.upload();
    await publishBackup(host.context, subvolume);
    await proveIs(world, await treeDigest(join(theirs, day)));
  }
});

test('a parent that was changed in place is none, however it was touched', async (t) => {
  const world = await smallWorld(t);
  await mkdir(join(world.data, 'iso'));
  await write(world, 'iso/a', 'b');
  const host = await hostIn(world);
  const full = await host.backUp();
  await edit(full.manifest.snapshot.path, () => rm(join(full.manifest.snapshot.path, 'iso/a')));
  await shell`mv ${join(world.data, 'iso')} ${join(world.data, 'images')}`;
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'full');
  assert.match(second.reason, /was changed after it was backed up, by hand or by deduplication; /);
  await proveIs(world, await treeDigest(second.manifest.snapshot.path));
  await edit(second.manifest.snapshot.path, async () => undefined);
  await write(world, 'c');
  const third = await host.backUp();
  assert.equal(third.manifest.kind, 'incremental', 'flags alone change nothing');
  await proveIs(world, await treeDigest(world.data));
});

test('deduplication inside a snapshot moves its state: it is no parent any more, and the reason says what did that', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await copyFile(join(world.data, 'a'), join(world.data, 'twin'));
  const host = await hostIn(world);
  const full = await host.backUp();
  await write(world, 'b');
  await host.plan('incremental');
  const { path } = full.manifest.snapshot;
  const before = await treeDigest(path);
  await dedupe(join(path, 'a'), join(path, 'twin'));
  assert.deepEqual(await treeDigest(path), before, 'its files are what they were');
  const next = await host.backUp();
  assert.equal(next.manifest.kind, 'full');
  const cause = /changed .*, by hand or by deduplication; .*bees --workaround-btrfs-send, and duperemove/;
  assert.match(next.reason, cause);
  assert.match(host.warnings.join('\n'), cause, 'nor does an unfinished backup build on it');
  await proveIs(world, await treeDigest(world.data));
});

test('a parent that is changed while its upload waits gives a full backup; by stages, nothing is published', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a', 'b');
  const host = await hostIn(world);
  const { manifest } = await host.backUp();
  await write(world, 'c');
  const planned = await host.plan();
  assert.equal('kind' in planned && planned.kind, 'incremental');
  const { path } = manifest.snapshot;
  await edit(path, () => rm(join(path, 'a')));
  const keys = await allKeys(world);
  const error = await refusal(host.upload());
  assert.match(
    error.message,
    /^this backup is given up: the stream of .* builds on state \d+ of its parent snapshot/,
  );
  assert.equal(exitCodeOf(error), 1);
  assert.deepEqual(await allKeys(world), keys, 'nothing is left of it');
  const next = await host.backUp();
  assert.equal(next.manifest.kind, 'full');

  await write(world, 'd');
  assert.equal('kind' in (await host.plan()), true);
  await edit(next.manifest.snapshot.path, () => rm(join(next.manifest.snapshot.path, 'b')));
  const again = await host.backUp();
  assert.equal(again.manifest.kind, 'full');
  assert.ok(
    host.warnings.some((line) => /given up: its parent snapshot was changed/.test(line)),
    host.warnings.join('\n'),
  );
  await proveIs(world, await treeDigest(again.manifest.snapshot.path));
});

test('a snapshot of ours that is changed before it is sent is simply what it is, and the next builds on it', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a', 'b');
  const host = await hostIn(world);
  const planned = await host.plan();
  const path = 'snapshotPath' in planned ? (planned.snapshotPath ?? '') : '';
  await edit(path, () => rm(join(path, 'a')));
  const first = await host.backUp();
  assert.equal(first.manifest.snapshot.path, path);
  await proveIs(world, await treeDigest(path));
  await write(world, 'c');
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'incremental');
  await proveIs(world, await treeDigest(second.manifest.snapshot.path));
});

/** Makes a file at a path of so many bytes below a directory, step by step, because no call takes a path that long. */
async function makeDeepFile(directory: string, pathBytes: number): Promise<void> {
  const program = [
    'import os, sys',
    'os.chdir(sys.argv[1])',
    'left = int(sys.argv[2])',
    'while left > 255: os.mkdir("d" * 250); os.chdir("d" * 250); left -= 251',
    'open("f" * left, "w").write("deep")',
  ].join('\n');
  await shell`python3 -c ${program} ${directory} ${pathBytes}`;
}

test('the longest path that can be received is restored; a longer one is named, exit 4, and the next backup begins anew', async (t) => {
  const world = await smallWorld(t);
  await makeDeepFile(world.data, 4090);
  const host = await hostIn(world);
  const { manifest } = await host.backUp();
  const target = join(world.mount, 'r');
  await host.restore(target);
  const inodes = async (path: string) =>
    (await shell`find ${path} -printf '%y %s %P\\n' | sort | sha256sum`).stdout;
  assert.equal(await inodes(target), await inodes(manifest.snapshot.path));

  await shell`rm -r ${join(world.data, 'd'.repeat(250))}`;
  await makeDeepFile(world.data, 4091);
  await host.plan();
  const error = await refusal(host.upload());
  assert.match(
    error.message,
    /cannot be restored: a path in it has 4091 bytes, and btrfs receive takes 4090: d+…\S*f$/,
  );
  assert.match(error.childOutput ?? '', /the whole path: (d{250}\/){16}f{75}$/);
  assert.equal(exitCodeOf(error), 4);
  // At this length btrfs send itself gives up, and does not say at which path.
  await shell`rm -r ${join(world.data, 'd'.repeat(250))}`;
  await makeDeepFile(world.data, 4100);
  await host.plan();
  const unsendable = await refusal(host.upload());
  assert.match(unsendable.message, /cannot be restored: a path in it has 4100 bytes/);
  assert.equal(exitCodeOf(unsendable), 4);
  await shell`mv ${join(world.data, 'd'.repeat(250))} ${join(world.data, 'short')}`;
  const { manifest: next } = await host.backUp();
  assert.notEqual(next.created_at, manifest.created_at);
  await host.restore(join(world.mount, 'r2'));
});

test('files do not inherit on a restore what the top directory was given after them', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'before');
  await shell`btrfs property set ${world.data} compression lzo`;
  await shell`setfacl -d -m u:1000:rwx ${world.data}`;
  await write(world, 'after');
  const host = await hostIn(world);
  const first = await host.backUp();
  await shell`btrfs property set ${world.data} compression zstd`;
  await write(world, 'later');
  await shell`setfattr -x btrfs.compression ${join(world.data, 'later')}`;
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'incremental');
  for (const { key, manifest } of [first, second]) {
    await proveIs(world, await treeDigest(manifest.snapshot.path), key);
  }
});

test('a restore does not inherit the compression property of the subvolume in which TARGET is', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const host = await hostIn(world);
  const first = await host.backUp();
  await write(world, 'b');
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'incremental');
  await shell`btrfs property set ${world.mount} compression zstd`;
  for (const { key, manifest } of [first, second]) {
    await proveIs(world, await treeDigest(manifest.snapshot.path), key);
  }
});

test('a top directory dated by a program that takes milliseconds, or nanoseconds, for seconds', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const host = await hostIn(world);
  for (const [seconds, recorded] of [
    ['1796063326123', '1796063326123.000000000'],
    // More than can be read exactly: the stream itself has it.
    ['1796063326123456789', undefined],
  ] as const) {
    await shell`touch -d @${seconds} ${world.data}`;
    const { key, manifest } = await host.backUp('full');
    assert.equal(manifest.snapshot.mtime, recorded);
    await proveIs(world, await treeDigest(manifest.snapshot.path), key);
  }
});

test('a snapshot that was made writable while its upload waits is left to whoever did so, and another is taken', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const host = await hostIn(world);
  const planned = await host.plan();
  const path = 'snapshotPath' in planned ? (planned.snapshotPath ?? '') : '';
  await shell`btrfs property set -ts ${path} ro false`;
  const { manifest } = await host.backUp();
  assert.notEqual(manifest.snapshot.path, path);
  assert.equal((await showSubvolume(path)).readOnly, false, 'it is there, as it was made');
  assert.match(host.warnings.join('\n'), /given up: its snapshot \S+ is no longer read-only/);
});
