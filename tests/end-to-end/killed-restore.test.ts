/** What a restore leaves that was killed: the next one to its TARGET continues it, any other removes what is of no use, or names it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { fetchedBytes } from './chain-of-five.ts';
import { processesAbout, until } from './running-script.ts';
import { createWorld, namesIn, type World } from './world.ts';

const mib = 2 ** 20;
const isStaging = (name: string) => name.startsWith('.btrfs-to-s3-restore-');

/** A world with a backup that takes a while to come back. */
async function worldWithBackup(t: TestContext): Promise<World> {
  const world = await createWorld(t, { CONCURRENCY: '2' });
  await writeFile(join(world.data, 'random'), randomBytes(60 * mib));
  await world.backup();
  return world;
}

function crawl(world: World): void {
  world.server.faults.set([{ fault: 'slow', bytesPerSecond: 4 * mib, operation: 'GetObject', key: '*.bin' }]);
}

/** Starts a restore and waits until `btrfs receive` has begun to write. */
async function restoreHalfway(world: World, target: string): Promise<ChildProcess> {
  const before = (await readdir(world.mount)).filter(isStaging);
  const config = await world.settingsFile();
  const args = ['scripts/restore.ts', '--config', config, '--subvolume', 'data'];
  const child = spawn('scripts/tsx.sh', [...args, '--target', target], {
    cwd: repositoryRoot,
    stdio: 'ignore',
  });
  world.cleanUp(async () => child.kill('SIGKILL'));
  for (let received: readonly string[] = []; received.length === 0; await sleep(20)) {
    assert.equal(child.exitCode, null, 'the restore still runs');
    const [mine] = (await readdir(world.mount)).filter((name) => isStaging(name) && !before.includes(name));
    if (mine) received = await readdir(join(world.mount, mine));
  }
  return child;
}

/** Kills a restore, and waits until what it had started has ended for want of it: until then it counts as one that runs. */
async function kill(world: World, child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  await until('its children are gone', async () => (await processesAbout(world.mount)).length === 0);
}

test('a restore killed in its first stream leaves nothing that lasts: the same one begins again, any other removes it', async (t) => {
  const world = await worldWithBackup(t);
  const before = await namesIn(world.mount);
  const target = join(world.mount, 'restored');
  crawl(world);
  await kill(world, await restoreHalfway(world, target));
  const left = (await namesIn(world.mount)).filter((name) => !before.includes(name));
  assert.equal(left.length, 1);
  assert.equal(left.every(isStaging), true, left.join());

  world.server.faults.clear();
  const same = await world.run('restore.ts', '--subvolume', 'data', '--target', target);
  assert.equal(same.exitCode, 0, same.stderr);
  assert.deepEqual(await namesIn(world.mount), [...before, 'restored'].sort());
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));

  crawl(world);
  await kill(world, await restoreHalfway(world, join(world.mount, 'never')));
  world.server.faults.clear();
  const other = await world.run(
    'restore.ts',
    '--subvolume',
    'data',
    '--target',
    join(world.mount, 'other'),
    '--verify',
    'none',
  );
  assert.equal(other.exitCode, 0, other.stderr);
  assert.match(other.stderr, /removed \S+, which a killed restore had left/);
  assert.deepEqual(await namesIn(world.mount), [...before, 'other', 'restored'].sort());
});

test('two restores at once leave each other alone, and what only looks like a staging directory stays', async (t) => {
  const world = await worldWithBackup(t);
  const [mine, others] = ['.btrfs-to-s3-restore-notes', '.btrfs-to-s3-restore-ABC123'];
  await mkdir(join(world.mount, mine));
  await mkdir(join(world.mount, others));
  await writeFile(join(world.mount, others, 'file'), 'somebody put this here');
  const before = await namesIn(world.mount);
  crawl(world);
  const first = await restoreHalfway(world, join(world.mount, 'first'));
  const ended = once(first, 'exit');
  world.server.faults.clear();
  const second = await world.run(
    'restore.ts',
    '--subvolume',
    'data',
    '--target',
    join(world.mount, 'second'),
  );
  assert.equal(second.exitCode, 0, second.stderr);
  assert.match(second.stderr, /ABC123 is of a killed restore and could not be removed/);
  assert.doesNotMatch(second.stderr, /removed /);
  assert.deepEqual(await ended, [0, null]);
  assert.deepEqual(await namesIn(world.mount), [...before, 'first', 'second'].sort());
  assert.equal(await readFile(join(world.mount, others, 'file'), 'utf8'), 'somebody put this here');
  const digests = [
    await treeDigest(join(world.mount, 'first')),
    await treeDigest(join(world.mount, 'second')),
  ];
  assert.deepEqual(digests[0], digests[1]);
});

test('nothing is restored over what came to TARGET meanwhile', async (t) => {
  const world = await worldWithBackup(t);
  const target = join(world.mount, 'restored');
  crawl(world);
  const restore = await restoreHalfway(world, target);
  const ended = once(restore, 'exit');
  await mkdir(target);
  await writeFile(join(target, 'precious'), 'here first');
  world.server.faults.clear();
  assert.deepEqual(await ended, [2, null]);
  assert.deepEqual(await readdir(target), ['precious']);
  assert.equal((await readdir(world.mount)).filter(isStaging).length, 1, 'what was received is kept');
  await shell`rm -r ${target}`;
  const since = world.server.requests.length;
  const again = await world.run('restore.ts', '--subvolume', 'data', '--target', target);
  assert.equal(again.exitCode, 0, again.stderr);
  assert.equal(fetchedBytes(world, since), 0);
  assert.deepEqual((await readdir(world.mount)).filter(isStaging), []);
});
