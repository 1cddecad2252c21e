/** Two settings files with one SNAPSHOT_DIR, as for two buckets: neither takes away what the other builds on. */
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { snapshotName } from '../../lib/core/format/names.ts';
import { showSubvolume } from '../../lib/edge/btrfs/btrfs.ts';
import { RunDirectory } from '../../lib/edge/files/run-directory.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { namesIn } from './world.ts';

test('snapshots that were taken for another prefix stay, published or not, and ours are thinned', async (t) => {
  const world = await smallWorld(t);
  const settings = (name: string) => ({
    RUN_DIR: join(world.directory, name),
    S3_PREFIX: name,
    KEEP_SNAPSHOTS: '1',
  });
  const [often, seldom] = [
    await hostIn(world, { settings: settings('often') }),
    await hostIn(world, { settings: settings('seldom') }),
  ];
  await write(world, 'a');
  const parent = (await seldom.backUp()).manifest.snapshot.name;
  for (const name of ['b', 'c', 'd']) {
    await write(world, name);
    await often.backUp();
  }
  const [, newest] = await namesIn(world.snapshots);
  assert.deepEqual(await namesIn(world.snapshots), [parent, newest], 'one each');
  await write(world, 'e');
  const begun = await seldom.plan();
  assert.equal('kind' in begun && begun.kind, 'incremental');
  const last = await often.backUp();
  const unfinished = ('snapshotPath' in begun && begun.snapshotPath) || assert.fail('nothing was taken');
  assert.deepEqual(
    await namesIn(world.snapshots),
    [parent, unfinished.split('/').at(-1), last.manifest.snapshot.name].sort(),
  );
  const after = await seldom.backUp();
  assert.match(after.reason, /^resuming unfinished/);
  assert.equal((await namesIn(world.snapshots)).length, 2);
  for (const { manifest } of [after, last]) {
    assert.ok((await namesIn(world.snapshots)).includes(manifest.snapshot.name));
  }
});

test('what RUN_DIR does not remember is ours by the bucket, and what was never published by RUN_DIR', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world, { settings: { KEEP_SNAPSHOTS: '1' } });
  await write(world, 'a');
  await host.backUp();
  await rm(world.runDirectory, { recursive: true });
  await write(world, 'b');
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'incremental');
  assert.deepEqual(await namesIn(world.snapshots), [second.manifest.snapshot.name]);
  // A run that was killed before it wrote anything down.
  await host.plan();
  await rm(join(world.runDirectory, 'data/snapshot.json'));
  assert.equal((await namesIn(world.snapshots)).length, 2);
  const third = await host.backUp();
  assert.deepEqual(await namesIn(world.snapshots), [third.manifest.snapshot.name]);
});

test('what was taken before the prefix was changed is named with the command that deletes it', async (t) => {
  const world = await smallWorld(t);
  const before = await hostIn(world, { settings: { S3_PREFIX: 'before' } });
  await write(world, 'a');
  const { path } = (await before.backUp()).manifest.snapshot;
  const after = await hostIn(world, { settings: { S3_PREFIX: 'after' } });
  await after.backUp();
  const warning = new RegExp(
    `^data: 1 snapshot taken for backups to \\S+/before/ stays on the disk, .*: btrfs subvolume delete ${path}$`,
    'm',
  );
  assert.match(after.warnings.join('\n'), warning);
  await shell`btrfs subvolume delete ${path}`;
  const told = after.warnings.length;
  await after.backUp();
  assert.equal(after.warnings.length, told);
});

test('the command for many of them is one to paste', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const SNAPSHOT_DIR = join(world.mount, 'my snapshots');
  await mkdir(SNAPSHOT_DIR);
  const taken: string[] = [];
  for (let day = 1; day <= 7; day++) {
    const path = join(SNAPSHOT_DIR, snapshotName('data', `2026010${day}T000000Z`, 'full'));
    await shell`btrfs subvolume snapshot -r ${world.data} ${path}`;
    taken.push((await showSubvolume(path)).uuid);
  }
  const run = new RunDirectory(world.runDirectory, 'data');
  await run.create();
  const place = { server: 's', bucket: 'before', prefix: 'p' };
  await run.writeTaken({ snapshots: taken.map((uuid) => ({ uuid, ...place })) });
  const host = await hostIn(world, { settings: { SNAPSHOT_DIR } });
  await host.backUp();
  assert.match(
    host.warnings.join('\n'),
    /7 snapshots .*, these 5 and then 2 others: btrfs subvolume delete( '\/[^']+\/my snapshots\/data__\w+__full'){5}$/m,
  );
});
