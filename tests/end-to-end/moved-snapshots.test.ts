/** Snapshots that are not where they were: their directory was moved, or is not mounted. No upload is lost, and nothing is sent in full. */
import assert from 'node:assert/strict';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { unmount, unmountEverywhere } from '../support/unmount-everywhere.ts';
import { proveIs, refusal, smallWorld, write } from './small-world.ts';
import { type Host, hostIn } from './within-process.ts';
import { allKeys, createWorld, namesIn, runProcess, type World } from './world.ts';

const kindOf = (planned: Awaited<ReturnType<Host['plan']>>) => 'kind' in planned && planned.kind;
const reasonOf = (planned: Awaited<ReturnType<Host['plan']>>) => planned.reason;

test('an upload goes on when the directory of snapshots was moved, and the next backup builds on what is there', async (t) => {
  const world = await smallWorld(t);
  const before = await hostIn(world);
  await write(world, 'a');
  const first = await before.backUp();
  await write(world, 'b');
  const begun = await before.plan();
  await rename(world.snapshots, join(world.mount, 'moved'));
  const moved = { SNAPSHOT_DIR: join(world.mount, 'moved') };
  const host = await hostIn(world, { settings: moved });
  const goesOn = await host.plan();
  assert.equal(kindOf(goesOn), 'incremental');
  assert.match(reasonOf(goesOn), /^resuming unfinished data__/);
  assert.equal(
    'snapshotPath' in goesOn && goesOn.snapshotPath,
    'snapshotPath' in begun && begun.snapshotPath?.replace('/snapshots/', '/moved/'),
  );
  const second = await host.backUp();
  assert.equal(second.manifest.snapshot.parent_uuid, first.manifest.snapshot.uuid);
  assert.deepEqual(host.warnings, []);

  // SNAPSHOT_DIR begins anew beside it.
  await mkdir(world.snapshots);
  await write(world, 'c');
  const third = await before.backUp();
  assert.equal(third.manifest.snapshot.parent_uuid, second.manifest.snapshot.uuid, third.reason);
  await proveIs(world, await treeDigest(third.manifest.snapshot.path));
});

test('a backup that is given up leaves nothing behind where its directory was moved, and a renamed snapshot is named', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const planned = await (await hostIn(world)).plan();
  const path = ('snapshotPath' in planned && planned.snapshotPath) || assert.fail('no snapshot');
  await rename(path, `${path}-kept`);
  const error = await refusal((await hostIn(world)).plan());
  assert.match(
    error.message,
    /^the snapshot data__\w+__full of an unfinished backup was renamed: it is \S+-kept now$/,
  );
  assert.match(error.hint ?? '', /^rename it back, or remove \S+\/data\/snapshot\.json/);
  await rename(`${path}-kept`, path);
  await rename(world.snapshots, join(world.mount, 'moved'));
  await mkdir(world.snapshots);
  await write(world, 'b');
  const host = await hostIn(world);
  await refusal(host.plan('incremental'));
  assert.deepEqual(await namesIn(join(world.mount, 'moved')), [], 'what was given up');
});

/** Two subvolumes that are mounted each, and the top level, which is not: as on most desktops. */
async function desktop(
  t: TestContext,
): Promise<{ readonly world: World; readonly mountSnapshots: () => Promise<unknown> }> {
  const world = await smallWorld(t);
  const device = (await shell`findmnt -n -o SOURCE ${world.mount}`).stdout.trim();
  await shell`btrfs subvolume create ${join(world.mount, '@snapshots')}`;
  const home = join(world.directory, 'home');
  await mkdir(home);
  await shell`mount -o subvol=data ${device} ${home}`;
  world.cleanUp(() => unmount(home));
  await mkdir(join(home, '.snapshots'));
  await unmount(world.mount);
  // Other paths of the world are on the top level.
  world.cleanUp(() => shell`mount -o subvolid=5 ${device} ${world.mount}`);
  const mountSnapshots = () => shell`mount -o subvol=@snapshots ${device} ${join(home, '.snapshots')}`;
  await mountSnapshots();
  world.cleanUp(() => shell({ nothrow: true })`umount ${join(home, '.snapshots')}`);
  return { world: { ...world, data: home, snapshots: join(home, '.snapshots') }, mountSnapshots };
}

test('snapshots that are not mounted are a failure which says so: no upload is dropped, and no full backup begun', async (t) => {
  const { world, mountSnapshots } = await desktop(t);
  const host = await hostIn(world, { settings: { SNAPSHOT_DIR: world.snapshots } });
  await write(world, 'a');
  await host.plan();
  const keys = await allKeys(world);
  const unmounted = async (kind?: 'full') => {
    await unmount(world.snapshots);
    const error = await refusal(host.plan(kind));
    await mountSnapshots();
    return error;
  };
  const whileBegun = await unmounted();
  assert.match(
    whileBegun.message,
    /^the snapshot [0-9a-f-]{36} is at \/@snapshots\/data__\w+__full of .*, which no mount shows$/,
  );
  assert.match(
    whileBegun.hint ?? '',
    /^mount it, .* or remove \S+\/snapshot\.json to give this unfinished backup up$/,
  );
  assert.deepEqual(await allKeys(world), keys);
  const first = await host.backUp();
  assert.match(first.reason, /^resuming unfinished/);

  await write(world, 'b');
  const whilePublished = await unmounted();
  assert.match(whilePublished.message, /which no mount shows$/);
  assert.match(whilePublished.hint ?? '', /or begin a new chain with KIND=full$/);
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'incremental');
  assert.deepEqual(host.warnings, []);
  await unmount(world.snapshots);
  assert.equal(kindOf(await host.plan('full', false, true)), 'full', 'the way out');
});

test('a mount of fstab that is missing is named before anything is looked at', async (t) => {
  const world = await smallWorld(t);
  const fstab = join(world.directory, 'fstab');
  await writeFile(fstab, `/dev/nowhere ${world.snapshots} btrfs nofail 0 0\n`);
  const config = await world.settingsFile();
  const withFstab = (script: string, ...args: string[]) =>
    runProcess('unshare', [
      '--mount',
      'bash',
      '-c',
      'mount --bind "$1" /etc/fstab; shift; exec scripts/tsx.sh "$@"',
      '-',
      fstab,
      `scripts/${script}`,
      '--config',
      config,
      ...args,
    ]);
  const backup = await withFstab('backup.ts');
  assert.equal(backup.exitCode, 1, backup.stderr);
  assert.match(
    backup.stderr,
    /SNAPSHOT_DIR \S+\/snapshots is on \S+\/snapshots, which is not mounted \(.*fstab names it\); mount it and run again: mount \S+/,
  );
  assert.deepEqual(await allKeys(world), []);
  assert.deepEqual(await namesIn(world.snapshots), []);
  await writeFile(fstab, `/dev/nowhere ${world.directory} btrfs nofail 0 0\n`);
  const locked = await withFstab('backup.ts');
  assert.match(locked.stderr, /RUN_DIR \S+\/run is on \S+, which is not mounted \(\/etc\/fstab names it\)/);
  assert.equal(locked.exitCode, 1);
});

test('another filesystem in the place of the one that is not mounted is no reason to give an upload up', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const host = await hostIn(world);
  await host.plan();
  const image = (
    await shell`losetup -n -O BACK-FILE ${(await shell`findmnt -n -o SOURCE ${world.mount}`).stdout.trim()}`
  ).stdout.trim();
  const device = (await shell`losetup --find --show ${image}`).stdout.trim();
  world.cleanUp(() => shell`losetup -d ${device}`);
  await unmountEverywhere(world.mount);
  world.cleanUp(() => shell`mount ${device} ${world.mount}`);
  const other = await createLoopFilesystem({ name: 'other', sizeBytes: 128 * 2 ** 20 });
  world.cleanUp(() => other.remove());
  await shell`btrfs subvolume create ${join(other.mountPoint, 'data')}`;
  await mkdir(join(other.mountPoint, 'snapshots'));
  await shell`mount --bind ${other.mountPoint} ${world.mount}`;
  world.cleanUp(() => unmount(world.mount));
  const error = await refusal(host.plan());
  assert.match(
    error.message,
    /^the snapshot [0-9a-f-]{36} is on \/dev\/loop\d+, filesystem [0-9a-f-]{36}, which is not mounted$/,
  );
});

test('where SNAPSHOT_DIR is another mount than before, a backup builds on the old snapshot if a mount shows both, and else names it', async (t) => {
  const world = await smallWorld(t);
  const device = (await shell`findmnt -n -o SOURCE ${world.mount}`).stdout.trim();
  const mountOn = async (name: string, subvolume: string) => {
    await shell`btrfs subvolume create ${join(world.mount, subvolume)}`;
    const point = join(world.directory, name);
    await mkdir(point);
    await shell`mount -o subvol=${subvolume} ${device} ${point}`;
    world.cleanUp(() => unmount(point));
    return point;
  };
  const [old, new_] = [await mountOn('old', '@old'), await mountOn('new', '@new')];
  const data = join(world.directory, 'data');
  await mkdir(data);
  await shell`mount -o subvol=data ${device} ${data}`;
  world.cleanUp(() => unmount(data));
  await write(world, 'a');
  const mounted = { ...world, data };
  const first = await (await hostIn(mounted, { settings: { SNAPSHOT_DIR: old } })).backUp();
  const host = await hostIn(mounted, { settings: { SNAPSHOT_DIR: new_ } });
  await write(world, 'b');

  await unmount(world.mount);
  const error = await refusal(host.plan()).finally(() => shell`mount -o subvolid=5 ${device} ${world.mount}`);
  assert.match(error.message, /^no mount shows both \S+\/new and \S+\/old\/data__\w+__full, which/);
  assert.match(error.hint ?? '', /mount -o subvolid=5 \/dev\/loop\d+ DIRECTORY, or .* KIND=full$/);
  assert.deepEqual(await namesIn(new_), [], 'no snapshot was taken');

  const second = await host.backUp();
  assert.equal(second.manifest.snapshot.parent_uuid, first.manifest.snapshot.uuid, second.reason);
  await proveIs(world, await treeDigest(second.manifest.snapshot.path));
});

test('a machine that has booted from what was restored builds on the copy in a directory that only the top level shows', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await (await hostIn(world)).backUp();
  const own = await createWorld(t, {}, 512 * 2 ** 20);
  await shell`btrfs subvolume delete ${own.data}`;
  const rescue = { SNAPSHOT_DIR: own.snapshots, RUN_DIR: join(own.directory, 'rescue') };
  await (await hostIn(world, { settings: rescue })).restore(own.data, {}, { continuesChain: true });

  const device = (await shell`findmnt -n -o SOURCE ${own.mount}`).stdout.trim();
  const root = join(own.directory, 'root');
  await mkdir(root);
  await shell`mount -o subvol=data ${device} ${root}`;
  world.cleanUp(() => unmount(root));
  const snapshots = join(root, '.btrfs-to-s3');
  await mkdir(snapshots);
  const settings = { SNAPSHOT_DIR: snapshots, RUN_DIR: join(own.directory, 'run') };
  const host = await hostIn(world, { settings, path: root, hostName: 'host-2', hostId: 'two' });
  await unmount(own.mount);
  const error = await refusal(host.plan());
  // With all that the restore remembers, backups are due here, and the one that is needs no copy.
  const due = { ...settings, RUN_DIR: rescue.RUN_DIR, INCREMENTAL_EVERY: '1s' };
  const dueIn = async (FULL_EVERY: string) =>
    (await hostIn(world, { settings: { ...due, FULL_EVERY }, path: root })).plan('auto', true, true);
  await setTimeout(1000);
  const full = await dueIn('1s');
  const increment = await refusal(dueIn('30d'));
  await shell`mount -o subvolid=5 ${device} ${own.mount}`;
  assert.deepEqual([kindOf(full), reasonOf(full)], ['full', 'a full backup is due by FULL_EVERY']);
  assert.equal(increment.message, error.message);
  assert.match(
    error.message,
    /at \/snapshots\/data__\w+__full of .*, which no mount shows; what is backed up was restored from it$/,
  );
  assert.match(error.hint ?? '', /^mount it, .*; or begin a new chain with KIND=full$/);

  await write({ ...world, data: root }, 'b');
  const next = await host.backUp();
  assert.match(next.reason, /^on the full of .*, as it was restored to \S+\/snapshots\/data__/);
  await proveIs(world, await treeDigest(next.manifest.snapshot.path));
});
