/** Snapshots that another program made: which one is sent, on what, and that they are never touched. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { runScript } from '../support/script-within.ts';
import { backedUp, change, makeBackup, proveIs, snapper, theirSnapshots } from './their-snapshots.ts';
import { allKeys, createWorld, errorLines, runFilesOf, runProcess } from './world.ts';

const mib = 2 ** 20;

test('snapper: full, two incrementals, a parent that it deletes, restore, prune', async (t) => {
  const world = await createWorld(t);
  const { theirs, at, take } = await snapper(world);
  await change(world, 'random', randomBytes(12 * mib));
  await take(8);
  await change(world, 'a');
  await take(9);

  const plan = await makeBackup(theirs, {}, '--dry-run');
  assert.match(
    plan.stdout,
    /home: full: there is no backup in the bucket yet\n {2}snapshot \S*\/\.snapshots\/9\/snapshot/,
  );
  assert.deepEqual(await allKeys(world), []);
  const full = await backedUp(theirs);
  assert.equal(full.kind, 'full');
  assert.deepEqual([full.snapshot.name, full.snapshot.path], ['snapshot', at(9)]);

  const before = world.server.requests.length;
  const nothing = await makeBackup(theirs);
  assert.equal(nothing.exitCode, 0, nothing.stderr);
  assert.match(
    nothing.stdout,
    /^home: nothing to do: the newest snapshot \S+\/9\/snapshot of \S+ is the last backup already\n$/,
  );
  const written = world.server.requests
    .slice(before)
    .filter(({ method }) => !['GET', 'HEAD'].includes(method));
  assert.deepEqual(written, []);

  await change(world, 'b');
  await take(10);
  const first = await backedUp(theirs);
  await rename(join(world.data, 'b'), join(world.data, 'c'));
  await take(11);
  const second = await backedUp(theirs);
  assert.deepEqual(
    [first, second].map(({ kind, snapshot }) => [kind, snapshot.name, snapshot.parent_uuid]),
    [
      ['incremental', 'snapshot', full.snapshot.uuid],
      ['incremental', 'snapshot', first.snapshot.uuid],
    ],
  );
  assert.match(await proveIs(theirs, at(11)), /compared with \S+\/\.snapshots\/11\/snapshot/);
  await proveIs(theirs, at(10), '--at', first.created_at);
  await proveIs(theirs, at(9), '--at', full.created_at);

  await theirs.forget(at(11));
  const older = await makeBackup(theirs);
  assert.match(
    older.stdout,
    /nothing to do: the newest snapshot \S+\/10\/snapshot .*is older than the last backup/,
  );
  await change(world, 'd');
  await take(12);
  const another = await makeBackup(theirs);
  assert.match(another.stdout, /home: full: parent snapshot \S+\/\.snapshots\/11\/snapshot is gone/);
  await change(world, 'e');
  await take(13);
  assert.equal((await backedUp(theirs)).kind, 'incremental');

  const config = await world.settingsFile({ ...theirs.settings, KEEP_GENERATIONS: '1' });
  const pruned = await runProcess('make', ['prune', `CONFIG=${config}`, 'APPLY=1']);
  assert.equal(pruned.exitCode, 0, pruned.stderr);
  assert.equal((await allKeys(world)).filter((key) => key.includes('/manifest-')).length, 2);
  await proveIs(theirs, at(13));
  await theirs.assertUntouched();
});

test('snapshots of what was rolled back, and those that were received, are built on', async (t) => {
  const world = await createWorld(t);
  const { theirs, at, take } = await snapper(world);
  await change(world, 'a');
  await take(1);
  await backedUp(theirs);
  await shell`btrfs subvolume delete ${world.data}`;
  await shell`btrfs subvolume snapshot ${at(1)} ${world.data}`;
  await change(world, 'b');
  await take(2);
  const { kind } = await backedUp(theirs);
  assert.equal(kind, 'incremental');
  await proveIs(theirs, at(2));
  await shell`btrfs subvolume delete ${world.data}`;
  await shell`btrfs subvolume create ${world.data}`;
  await take(3);
  const stranger = await makeBackup(theirs);
  assert.match(
    stranger.stdout,
    /home: full: the subvolume is not the one of parent snapshot \S+\/2\/snapshot/,
  );

  const received = join(world.mount, 'received');
  await mkdir(received);
  const target = theirSnapshots(world, 'received/home.*');
  const sources = ['home.1', 'home.2'].map((name) => join(world.mount, name));
  const [one = '', two = ''] = sources;
  await theirs.take(one);
  await change(world, 'c');
  await theirs.take(two);
  await shell`btrfs send -q ${one} | btrfs receive -q ${received}`;
  assert.match((await makeBackup(target)).stdout, /home: full: /);
  await shell`btrfs send -q -p ${one} ${two} | btrfs receive -q ${received}`;
  assert.equal((await backedUp(target)).kind, 'incremental');
  await proveIs(target, two);
  await theirs.assertUntouched();
});

test('a glob that finds nothing to send: one clear line, the documented exit code, nothing left behind', async (t) => {
  const world = await createWorld(t);
  await shell`btrfs subvolume snapshot ${world.data} ${join(world.mount, 'writable')}`;
  await shell`btrfs subvolume snapshot -r ${world.data} ${join(world.mount, 'line\nbreak')}`;
  await mkdir(join(world.mount, 'directory'));
  await mkdir(join(world.directory, 'elsewhere'));
  for (const [name, glob, code, says] of [
    ['matches nothing', `${world.mount}/none/*`, 1, /no directory matches \S+\/none\/\*; check SUBVOLUMES/],
    [
      'matches writable ones',
      `${world.mount}/wri*`,
      1,
      /of 1 subvolume that match \S+ none is read-only; only read-only/,
    ],
    [
      'matches directories',
      `${world.mount}/dir*`,
      1,
      /of 1 path .* none is a Btrfs subvolume; SUBVOLUMES must name/,
    ],
    [
      'is on another filesystem',
      `${world.directory}/else*`,
      1,
      /elsewhere is \S+ on \S+, not Btrfs; check SUBVOLUMES/,
    ],
    [
      'matches a name that no manifest holds',
      `${world.mount}/line*`,
      1,
      /has a control character in its name; rename it/,
    ],
    ['is relative', 'mnt/*', 2, /SUBVOLUMES "home=snapshots:mnt\/\*" .*must be an absolute path/],
    ['searches all', `${world.mount}/**`, 2, /has "\*\*"/],
  ] as const) {
    await t.test(`one that ${name}: exit ${code}`, async () => {
      const config = await world.settingsFile({ SUBVOLUMES: `home=snapshots:${glob}` });
      const result = await runScript('snapshot.ts', ['--config', config]);
      assert.equal(result.exitCode, code, result.stderr);
      const lines = errorLines(result);
      assert.equal(lines.length, 1, result.stderr);
      assert.match(lines[0] ?? '', says);
      assert.equal(result.stdout, '');
      assert.deepEqual(await allKeys(world), []);
      assert.deepEqual(await runFilesOf(world), []);
      await rm(world.runDirectory, { recursive: true, force: true });
    });
  }
});
