/** CONTINUE=1: a restored host continues the chain that it restored, and uploads only what has changed. */
import assert from 'node:assert/strict';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodeOf } from '../../lib/core/errors.ts';
import { findSubvolumes, showSubvolume } from '../../lib/edge/btrfs/btrfs.ts';
import { planPrunes } from '../../lib/stage/bucket/prune.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { unmount } from '../support/unmount-everywhere.ts';
import { backUpFive } from './chain-of-five.ts';
import { proveIs, refusal, smallWorld, write } from './small-world.ts';
import { type Host, hostIn } from './within-process.ts';
import { createWorld, readBytes, type World } from './world.ts';

/** A machine of another name, with a filesystem of its own, that works in the bucket of a world. */
async function newMachine(t: TestContext, world: World, name = 'host-2') {
  const own = await createWorld(t, {}, 512 * 2 ** 20);
  await shell`btrfs subvolume delete ${own.data}`;
  const settings = { SNAPSHOT_DIR: own.snapshots, RUN_DIR: join(own.directory, 'run') };
  const host = await hostIn(world, { settings, path: own.data, hostName: name, hostId: name });
  return { host, own };
}

const continuing = { continuesChain: true };

/** Bytes that a backup has stored, as a share of the full one. */
function share(
  backup: { readonly manifest: { readonly total_bytes: number } },
  full: { readonly manifest: { readonly total_bytes: number } },
) {
  return backup.manifest.total_bytes / full.manifest.total_bytes;
}

async function proveChain(host: Host, backups: number): Promise<void> {
  const { findings, unproven, manifests } = await host.verify(true);
  assert.deepEqual([findings, unproven, manifests], [[], 0, backups]);
  const { plans } = await planPrunes(host.context, 'data');
  assert.deepEqual(
    plans[0]?.generations.map((generation) => generation.backups),
    [backups],
  );
}

test('a dead host goes on as another one on another filesystem; come back to life, it is refused', async (t) => {
  const world = await smallWorld(t);
  const old = await hostIn(world);
  const five = await backUpFive(world, old);
  const { host, own } = await newMachine(t, world);
  const outcome = await host.restore(own.data, {}, continuing);
  const name = five[4]?.manifest.snapshot.name ?? '';
  assert.equal(outcome.continued, join(own.snapshots, name));
  const copy = await showSubvolume(join(own.snapshots, name));
  assert.deepEqual([copy.readOnly, copy.receivedUuid], [true, five[4]?.manifest.snapshot.uuid]);
  assert.deepEqual(await treeDigest(join(own.snapshots, name)), five[4]?.tree);
  assert.deepEqual(await readdir(own.mount), ['data', 'snapshots']);

  await write({ ...world, data: own.data }, 'new');
  await rm(join(own.data, 'moved-4'));
  await shell`cp --reflink=always ${join(own.data, 'day-5/random')} ${join(own.data, 'cloned')}`;
  const sixth = await host.backUp();
  assert.equal(sixth.manifest.kind, 'incremental', sixth.reason);
  assert.match(sixth.reason, /^on the incremental of .*, as it was restored to /);
  assert.equal(sixth.manifest.parent_manifest, five[4]?.key);
  const { parent_continued, parent_uuid, parent_transid } = sixth.manifest.snapshot;
  assert.deepEqual([parent_continued, parent_uuid], [true, five[4]?.manifest.snapshot.uuid]);
  assert.notEqual(parent_transid, five[4]?.manifest.snapshot.transid);
  assert.ok(share(sixth, five[0] ?? assert.fail()) < 0.2, 'it is small');
  await write({ ...world, data: own.data }, 'newer');
  const seventh = await host.backUp();
  assert.equal(seventh.manifest.parent_manifest, sixth.key);
  assert.equal(seventh.manifest.snapshot.parent_continued, undefined);

  const bare = await hostIn(world, { settings: { RUN_DIR: join(world.directory, 'bare') } });
  for (const { key, manifest } of [sixth, seventh]) {
    const target = join(world.mount, 'bare');
    await bare.restore(target, { manifest: key });
    assert.deepEqual(await treeDigest(target), await treeDigest(manifest.snapshot.path));
    await shell`btrfs subvolume delete ${target}`;
  }
  await proveChain(host, 7);

  for (const ifDue of [false, true]) {
    const error = await refusal(old.plan('auto', ifDue));
    assert.equal(exitCodeOf(error), 1);
    assert.match(
      error.message,
      /the last backup of data under fleet\/host-1\/ is of host host-2, and this one is host-1/,
    );
  }
});

test('a host that was restored under its default prefix reads which one to keep', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await (await hostIn(world)).backUp();
  const { host, own } = await newMachine(t, world);
  await host.restore(own.data, {}, continuing);
  const astray = {
    ...host.context,
    bucket: { ...host.context.bucket, prefix: 'host-2' },
    settings: { ...host.context.settings, S3_PREFIX: undefined },
  };
  const { prepareSnapshot } = await import('../../lib/stage/backup/snapshot.ts');
  const request = { kind: 'auto', ifDue: false, dryRun: false } as const;
  const error = await refusal(prepareSnapshot(astray, { name: 'data', path: own.data }, request));
  assert.match(error.message, /is under fleet\/host-1\/, and there is none under host-2\//);
  assert.match(error.hint ?? '', /set S3_PREFIX=fleet\/host-1/);
});

test('who else published meanwhile is not overtaken', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const old = await hostIn(world);
  await old.backUp();
  const { host, own } = await newMachine(t, world);
  await host.restore(own.data, {}, continuing);
  await write(world, 'b');
  await old.backUp();
  const error = await refusal(host.plan());
  assert.match(error.message, /is of host host-1, and this one is host-2/);
});

test('a host that was rolled back goes on from there: to the last backup, and to an earlier one', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world, { settings: { KEEP_SNAPSHOTS: '1' } });
  const five = await backUpFive(world, host);
  const target = join(world.mount, 'restored');
  const rollBack = async () => {
    await shell`btrfs subvolume delete ${world.data}`;
    await rename(target, world.data);
  };

  const last = await host.restore(target, {}, continuing);
  assert.match(last.continued ?? '', /__inc__restored$/, 'the snapshot itself is here, and stays');
  // A backup of the old data in between, as the timer makes it, leaves the copy alone.
  await write(world, 'meanwhile');
  const sixth = await host.backUp();
  const sixthTree = await treeDigest(sixth.manifest.snapshot.path);
  assert.equal(sixth.manifest.parent_manifest, five[4]?.key);
  assert.equal((await findSubvolumes(world.snapshots)).length, 2);
  await rollBack();
  await write(world, 'after');
  const seventh = await host.backUp();
  assert.equal(seventh.manifest.kind, 'incremental', seventh.reason);
  assert.equal(seventh.manifest.parent_manifest, five[4]?.key, 'it builds on what was restored');
  assert.ok(share(seventh, five[0] ?? assert.fail()) < 0.2);
  await proveIs(world, await treeDigest(world.data));
  await proveIs(world, sixthTree, sixth.key);
  assert.deepEqual(
    (await findSubvolumes(world.snapshots)).map(({ uuid }) => uuid),
    [seventh.manifest.snapshot.uuid],
    'no copy is left over',
  );

  await host.restore(target, { manifest: five[1]?.key }, continuing);
  await rollBack();
  assert.deepEqual(await treeDigest(world.data), five[1]?.tree);
  await rm(join(world.directory, 'run'), { recursive: true });
  await write(world, 'forked');
  const forked = await host.backUp();
  assert.equal(forked.manifest.kind, 'incremental', forked.reason);
  assert.equal(forked.manifest.parent_manifest, five[1]?.key, 'a lost RUN_DIR changes nothing');
  await proveIs(world, await treeDigest(world.data));
  const { findings } = await host.verify(true);
  assert.deepEqual(findings, []);
});

test('a snapshot that was received by hand continues the chain as well, unless it was changed', async (t) => {
  const world = await smallWorld(t);
  const old = await hostIn(world);
  const five = await backUpFive(world, old);
  const { host, own } = await newMachine(t, world);
  const receiveByHand = async () => {
    for (const { manifest } of five) {
      const bytes = await Promise.all(manifest.chunks.map(({ key }) => readBytes(world, key)));
      await writeFile(join(world.directory, 'stream'), Buffer.concat(bytes));
      await shell`btrfs receive -q -f ${join(world.directory, 'stream')} ${own.snapshots}`;
    }
    await shell`btrfs subvolume snapshot ${join(own.snapshots, five[4]?.manifest.snapshot.name ?? '')} ${own.data}`;
  };
  await receiveByHand();
  const path = join(own.snapshots, five[4]?.manifest.snapshot.name ?? '');
  await write({ ...world, data: own.data }, 'new');
  const planned = await host.plan();
  assert.equal('kind' in planned && planned.kind, 'incremental');
  await shell`btrfs subvolume delete ${'snapshotPath' in planned ? (planned.snapshotPath ?? '') : ''}`;
  // A received UUID survives this where btrfs-progs are old, or the flag is set by another program.
  const uuid = (await showSubvolume(path)).receivedUuid;
  // The time of receiving is recorded to the second.
  await sleep(2100);
  await changeReceived(path);
  assert.equal((await showSubvolume(path)).receivedUuid, uuid);
  const again = await host.plan();
  assert.equal('kind' in again && again.kind, 'full');
  assert.match('reason' in again ? again.reason : '', /was changed after it was received$/);
});

for (const how of ['restored', 'restored beside SNAPSHOT_DIR', 'moved by send and receive']) {
  test(`what was ${how} to a new disk continues the chain while the old one is attached and not mounted`, async (t) => {
    const world = await smallWorld(t);
    const old = await hostIn(world);
    const five = await backUpFive(world, old);
    const { own } = await newMachine(t, world);
    // The machine is the same, with all that it remembers.
    const hostWith = (SNAPSHOT_DIR: string) => hostIn(world, { settings: { SNAPSHOT_DIR }, path: own.data });
    let host = await hostWith(own.snapshots);
    const copy = join(own.snapshots, five[4]?.manifest.snapshot.name ?? '');
    if (how.startsWith('restored')) await host.restore(own.data, {}, continuing);
    if (how === 'restored beside SNAPSHOT_DIR') {
      await mkdir(join(own.mount, 'elsewhere'));
      host = await hostWith(join(own.mount, 'elsewhere'));
    } else if (how !== 'restored') {
      const { path } = five[4]?.manifest.snapshot ?? assert.fail();
      await shell`btrfs send -q ${path} | btrfs receive -q ${own.snapshots}`;
      await shell`btrfs subvolume snapshot ${copy} ${own.data}`;
    }
    const image = (await shell`losetup -n -O BACK-FILE ${await deviceOf(world.mount)}`).stdout.trim();
    const device = (await shell`losetup --find --show ${image}`).stdout.trim();
    world.cleanUp(() => shell`losetup -d ${device}`);
    await unmount(world.mount);

    await write({ ...world, data: own.data }, 'new');
    const sixth = await host.backUp();
    assert.equal(sixth.manifest.parent_manifest, five[4]?.key, sixth.reason);
    assert.ok(share(sixth, five[0] ?? assert.fail()) < 0.2);
  });
}

test('a copy that was changed takes the place of nothing: what is out of reach is named, and no full backup begins', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a', 'same');
  const { manifest } = await (await hostIn(world)).backUp();
  const device = await deviceOf(world.mount);
  const mount = join(world.directory, 'data');
  await mkdir(mount);
  await shell`mount -o subvol=data ${device} ${mount}`;
  world.cleanUp(() => unmount(mount));
  const snapshots = join(mount, 'new-snapshots');
  await mkdir(snapshots);
  const path = join(mount, 'restored');
  const host = await hostIn(world, { settings: { SNAPSHOT_DIR: snapshots }, path });
  await unmount(world.mount);
  world.cleanUp(() => shell`mount -o subvolid=5 ${device} ${world.mount}`);
  const { continued } = await host.restore(path, {}, continuing);
  const planned = await host.plan('auto', false, true);
  assert.match(planned.reason, /^on the full of .*, as it was restored to /);
  assert.equal(continued, join(snapshots, manifest.snapshot.name));

  await changeReceived(continued ?? '');
  for (const kind of ['auto', 'incremental'] as const) {
    const { message, hint } = await refusal(host.plan(kind));
    assert.match(message, /which no mount shows, and no copy of it that is here can take its place: parent /);
    assert.match(hint ?? '', /^mount it, .*, or begin a new chain with KIND=full$/);
  }
});

async function deviceOf(mount: string): Promise<string> {
  return (await shell`findmnt -n -o SOURCE ${mount}`).stdout.trim();
}

/** Changes a received snapshot and keeps its received UUID, as btrfs-progs before 5.14.2 let people do: BTRFS_IOC_SUBVOL_SETFLAGS. */
async function changeReceived(path: string): Promise<void> {
  const program = [
    'import fcntl, os, struct, sys',
    'file = os.open(sys.argv[1], os.O_RDONLY)',
    "fcntl.ioctl(file, 0x4008941a, struct.pack('<Q', 0))",
    'os.unlink(sys.argv[1] + "/same")',
    "fcntl.ioctl(file, 0x4008941a, struct.pack('<Q', 2))",
  ].join('\n');
  await shell`python3 -c ${program} ${path}`;
}

test('what would keep the next backup from going on is refused before anything is fetched', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await (await hostIn(world)).backUp();
  const target = join(world.mount, 'restored');
  const refused = async (settings: Readonly<Record<string, string>>, message: RegExp, code = 2) => {
    const host = await hostIn(world, { settings });
    const since = world.server.requests.length;
    const error = await refusal(host.restore(target, {}, continuing));
    assert.equal(exitCodeOf(error), code);
    assert.match(error.message, message);
    assert.equal(world.server.requests.length, since);
  };
  await refused(
    { SNAPSHOT_DIR: join(world.mount, 'missing') },
    /^CONTINUE=1 is not possible: SNAPSHOT_DIR \S+ does not exist$/,
  );
  await refused({ SNAPSHOT_DIR: world.directory }, /is not on the filesystem of/);
  const readOnly = join(world.directory, 'read-only');
  await mkdir(readOnly);
  await shell`mount --bind ${world.snapshots} ${readOnly}`;
  world.cleanUp(() => unmount(readOnly));
  await shell`mount -o remount,bind,ro ${readOnly}`;
  await refused(
    { SNAPSHOT_DIR: readOnly },
    /^CONTINUE=1 is not possible: no snapshot can be made in \S+: the filesystem is read-only$/,
    1,
  );
  await refused({ SUBVOLUMES: 'data=snapshots:/theirs/*' }, /SUBVOLUMES takes data from snapshots of others/);
});
