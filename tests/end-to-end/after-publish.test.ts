/** What comes after a publish: nothing there may keep old snapshots from being thinned, or they fill the disk. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { markReceived, proveIs, smallWorld, write } from './small-world.ts';
import { type Host, hostIn } from './within-process.ts';
import { errorLines, namesIn, readObject, type World } from './world.ts';

const [recoveryKey, scriptKey] = ['fleet/host-1/RESTORE.txt', 'fleet/host-1/recover.sh'];

/** A world in whose bucket every new object is retained for a day. */
async function lockedWorld(t: TestContext): Promise<{ readonly world: World; readonly host: Host }> {
  const world = await smallWorld(t);
  const Bucket = 'locked';
  await world.client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
  const DefaultRetention = { Mode: 'GOVERNANCE', Days: 1 } as const;
  const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention } } as const;
  await world.client.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }));
  return { world, host: await hostIn(world, { settings: { S3_BUCKET: Bucket, KEEP_SNAPSHOTS: '1' } }) };
}

test('a bucket whose Object Lock retains what is new takes RESTORE.txt and recover.sh as well, once, and snapshots are thinned', async (t) => {
  const { world, host } = await lockedWorld(t);
  for (const name of ['a', 'b', 'c']) {
    await write(world, name);
    await host.backUp();
  }
  assert.deepEqual(host.warnings, []);
  assert.equal((await namesIn(world.snapshots)).length, 1);
  const written = (key: string) =>
    world.server.requests.filter((each) => each.key === key && each.method === 'PUT' && each.status === 200);
  assert.deepEqual([written(recoveryKey).length, written(scriptKey).length], [1, 1]);

  // What says something else, as that of an older version does, is written anew.
  await world.client.send(
    new PutObjectCommand({ Bucket: 'locked', Key: scriptKey, Body: 'older', ChecksumAlgorithm: 'SHA256' }),
  );
  await write(world, 'd');
  await host.backUp();
  const { Body } = await world.client.send(new GetObjectCommand({ Bucket: 'locked', Key: scriptKey }));
  assert.match((await Body?.transformToString()) ?? '', /^bucket=locked\nprefix=fleet\/host-1\n/m);
});

test('RESTORE.txt or recover.sh that is refused or archived is a warning: the other is written, and snapshots are thinned', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world, { settings: { KEEP_SNAPSHOTS: '1' } });
  await write(world, 'a');
  await host.backUp();
  const put = (Key: string, StorageClass: 'GLACIER' | 'STANDARD') =>
    world.client.send(new PutObjectCommand({ Bucket: 'backups', Key, Body: 'x', StorageClass }));
  for (const [key, other] of [
    [recoveryKey, scriptKey],
    [scriptKey, recoveryKey],
  ] as const) {
    const refusals = {
      'is refused': async () =>
        world.server.faults.set([
          { fault: 'error', code: 'InvalidStorageClass', operation: 'GetObject', key },
        ]),
      'is archived': () => put(key, 'GLACIER'),
    };
    for (const [what, refuse] of Object.entries(refusals)) {
      await put(other, 'STANDARD');
      await refuse();
      await write(world, `${what} ${key.slice(-10)}`);
      const { key: manifest } = await host.backUp();
      world.server.faults.clear();
      const warning = host.warnings.at(-1) ?? '';
      const expected = [
        `data: published, but cannot read ${key}: `,
        `data: published, but ${key} is archived`,
      ];
      assert.ok(
        expected.some((words) => warning.startsWith(words)),
        warning,
      );
      assert.notEqual(await readObject(world, other), 'x', what);
      assert.deepEqual(await namesIn(world.snapshots), [`data__${manifest.slice(-21, -5)}__inc`], what);
    }
    await put(key, 'STANDARD');
  }
});

test('a snapshot that cannot be removed keeps no other from it, and what was published is reported', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world);
  for (const name of ['a', 'b', 'c']) {
    await write(world, name);
    await host.backUp();
  }
  const [oldest = '', newest = ''] = await namesIn(world.snapshots);
  // The default subvolume cannot be deleted (btrfs-subvolume(8)).
  await shell`btrfs subvolume set-default ${join(world.snapshots, oldest)}`;
  await write(world, 'd');
  const ended = await world.run('backup.ts', '--json', '--set', 'KEEP_SNAPSHOTS=1');
  assert.equal(ended.exitCode, 1, ended.stderr);
  const [document] = JSON.parse(ended.stdout).subvolumes;
  assert.deepEqual([document.published, document.thinned], [true, [newest]]);
  assert.match(
    errorLines(ended).join('\n'),
    /is published, but 1 old snapshot could not be removed: .*cannot delete/,
  );
  const left = await namesIn(world.snapshots);
  assert.deepEqual(left, [oldest, document.snapshotPath.split('/').at(-1)]);
});

test('a subvolume with chattr +i: its snapshots are thinned, and before the first one a warning says so', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await shell`chattr +i ${world.data}`;
  world.cleanUp(() => shell`chattr -i ${world.data}`);
  const host = await hostIn(world, { settings: { KEEP_SNAPSHOTS: '1' } });
  await host.backUp();
  const warned = host.warnings.filter((line) => /data: \S+ is immutable \(chattr \+i\)/.test(line));
  assert.equal(warned.length, 1);
  await host.backUp();
  const { key, manifest } = await host.backUp();
  assert.deepEqual(host.warnings, warned, 'once is enough');
  assert.deepEqual(await namesIn(world.snapshots), [manifest.snapshot.name]);
  await proveIs(world, await treeDigest(world.data), key);
});

test('a subvolume with chattr +i that was received: its snapshots are made read-only, and thinned', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await markReceived(world.data);
  await shell`chattr +i ${world.data}`;
  world.cleanUp(() => shell`chattr -i ${world.data}`);
  const host = await hostIn(world, { settings: { KEEP_SNAPSHOTS: '1' } });
  await host.backUp();
  const { manifest } = await host.backUp();
  assert.deepEqual(
    [manifest.kind, await namesIn(world.snapshots)],
    ['incremental', [manifest.snapshot.name]],
  );
});
