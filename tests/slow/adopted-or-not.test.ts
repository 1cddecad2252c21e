/** When there is nothing to send of another program's snapshots, and when that would be a wrong answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backUpAt } from '../end-to-end/back-up-at.ts';
import { backedUp, change, lastManifest, makeBackup, snapper } from '../end-to-end/their-snapshots.ts';
import { createWorld, errorLines, namesIn, runProcess } from '../end-to-end/world.ts';

test('a full backup that is due waits for a newer snapshot, and one that is asked for does not', async (t) => {
  const world = await createWorld(t);
  const { theirs, take } = await snapper(world);
  await change(world, 'a');
  await take(1);
  const first = await backedUp(theirs);
  const due = await makeBackup(theirs, { FULL_EVERY: '1s' }, '--kind', 'full', '--if-due');
  assert.equal(due.exitCode, 0, due.stderr);
  assert.match(due.stdout, /^home: nothing to do: .* is the last backup already\n$/);
  assert.match(
    due.stderr,
    /home: the next full backup is due, but there is no snapshot newer than the last one/,
  );
  const early = await makeBackup(theirs, {}, '--if-due');
  assert.equal(early.exitCode, 0, early.stderr);
  assert.doesNotMatch(early.stderr, /is due/);
  assert.deepEqual(await lastManifest(theirs), first);
  assert.ok((await backedUp(theirs, '--kind', 'full')).created_at > first.created_at, 'a chain of its own');
});

test('a backup of ours that is given up for theirs leaves no snapshot, although SNAPSHOT_DIR is gone', async (t) => {
  const world = await createWorld(t);
  const { theirs, take } = await snapper(world);
  const config = await world.settingsFile({ SUBVOLUMES: `home=${world.data}` });
  const prepared = await runProcess('make', ['snapshot', `CONFIG=${config}`]);
  assert.equal(prepared.exitCode, 0, prepared.stderr);
  assert.equal((await namesIn(world.snapshots)).length, 1);
  await take(1);
  await backedUp(theirs);
  assert.deepEqual(await namesIn(world.snapshots), []);
  await theirs.assertUntouched();
});

test('a last backup dated in the future is no reason to wait for it: the clock is named, exit code 1', async (t) => {
  const world = await createWorld(t);
  const { theirs, take } = await snapper(world);
  await change(world, 'a');
  await backUpAt(world, Date.now() + 30 * 86_400_000, { name: 'home' });
  await take(1);
  const config = await world.settingsFile(theirs.settings);
  for (const options of [[], ['--if-due']]) {
    const args = ['scripts/snapshot.ts', '--config', config, ...options];
    const result = await runProcess('scripts/tsx.sh', args);
    assert.equal(result.exitCode, 1, result.stdout);
    assert.match(errorLines(result).join(), /the clock says \S+, but the last backup of home is of /);
  }
});
