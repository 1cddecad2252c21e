/** A restore that was stopped goes on: what was received is not fetched again, and serves no other backup or TARGET. */
import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { exitCodeOf } from '../../lib/core/errors.ts';
import { findSubvolumes } from '../../lib/edge/btrfs/btrfs.ts';
import { abandonRestore } from '../../lib/stage/restore/staging/leave.ts';
import { openStaging, stagingPath } from '../../lib/stage/restore/staging/staging.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { unmount } from '../support/unmount-everywhere.ts';
import { type BackedUp, backUpFive, breakOff, fetchedBytes } from './chain-of-five.ts';
import { refusal, smallWorld } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { namesIn, type World } from './world.ts';

const bytesOf = (backups: readonly BackedUp[]) =>
  backups.reduce((sum, { manifest }) => sum + manifest.total_bytes, 0);

/** What is left in a staging directory. */
async function leftOf(target: string): Promise<readonly string[]> {
  return (await findSubvolumes(stagingPath(target))).map(({ name }) => name);
}

async function removeTarget(target: string): Promise<void> {
  await shell`btrfs subvolume delete ${target}`;
}

test('what was received whole is not fetched again, whatever stopped the restore', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world);
  const five = await backUpFive(world, host);
  const target = join(world.mount, 'restored');
  const [, , , fourth, fifth] = five;
  assert.ok(fourth && fifth);

  await t.test('it continues with the stream that was under way, and leaves nothing', async () => {
    breakOff(world, fourth);
    const since = world.server.requests.length;
    const error = await refusal(host.restore(target));
    assert.match(error.message, /expired/i);
    assert.deepEqual(
      (await namesIn(world.mount)).filter((name) => name === 'restored'),
      [],
    );
    assert.equal((await leftOf(target)).length, 1, 'the predecessor and the torn stream are gone');
    assert.match(
      host.warnings.at(-1) ?? '',
      /^kept in \S+: 3 of 5 streams of data; run the same command again to continue, or .*ABANDON=1/,
    );
    world.server.faults.clear();
    const outcome = await host.restore(target);
    assert.equal(outcome.chain.length, 5);
    assert.equal(fetchedBytes(world, since), bytesOf(five), 'each byte was fetched once');
    assert.deepEqual(await treeDigest(target), fifth.tree);
    assert.deepEqual(await namesIn(world.mount), ['data', 'restored', 'snapshots']);
    await removeTarget(target);
  });

  await t.test('a shorter chain that ends where it is fetches nothing; a longer one goes on', async () => {
    breakOff(world, fourth);
    await refusal(host.restore(target));
    world.server.faults.clear();
    const since = world.server.requests.length;
    await host.restore(target, { manifest: five[2]?.key });
    assert.equal(fetchedBytes(world, since), 0);
    assert.deepEqual(await treeDigest(target), five[2]?.tree);
    await removeTarget(target);
  });

  await t.test('an earlier point and another backup do not take it, and say what to do', async () => {
    breakOff(world, fourth);
    await refusal(host.restore(target));
    world.server.faults.clear();
    const error = await refusal(host.restore(target, { manifest: five[1]?.key }));
    assert.equal(exitCodeOf(error), 2);
    assert.match(
      error.message,
      /an unfinished restore from \S+ has left 3 streams of data up to \S+, which this one does not use/,
    );
    assert.match(error.hint ?? '', /ABANDON=1/);
    assert.equal((await leftOf(target)).length, 1);
    // Another TARGET beside it neither takes nor removes it, and names it.
    await host.restore(join(world.mount, 'other'), { manifest: five[0]?.key });
    assert.match(
      host.warnings.join('\n'),
      /an unfinished restore is kept in \S+: 3 of 5 streams of data; .*TARGET=\S+restored continues/,
    );
    assert.equal((await leftOf(target)).length, 1);
    await removeTarget(join(world.mount, 'other'));
    assert.match(await abandonRestore(target), /^removed .*, with 3 of 5 streams of data$/);
    assert.match(await abandonRestore(target), /^there is no unfinished restore/);
    assert.deepEqual(await namesIn(world.mount), ['data', 'snapshots']);
  });

  await t.test('what was changed since is not built on', async () => {
    breakOff(world, fourth);
    await refusal(host.restore(target));
    world.server.faults.clear();
    const [name = ''] = await leftOf(target);
    const path = join(stagingPath(target), name);
    await shell`btrfs property set -f -ts ${path} ro false`;
    await writeFile(join(path, 'same'), 'changed');
    await shell`btrfs property set -ts ${path} ro true`;
    const since = world.server.requests.length;
    await host.restore(target);
    assert.match(host.warnings.join('\n'), /is not as it was left: it begins again/);
    assert.equal(fetchedBytes(world, since), bytesOf(five));
    assert.deepEqual(await treeDigest(target), fifth.tree);
    await removeTarget(target);
  });

  await t.test('two restores to one TARGET exclude each other', async () => {
    const staging = await openStaging(target);
    const waited = host.restore(target);
    const error = await refusal(waited);
    assert.equal(exitCodeOf(error), 3);
    assert.match(error.message, /^another restore to .*restored is under way$/);
    await assert.rejects(abandonRestore(target), /is under way/);
    await staging.remove();
    await staging.close();
  });

  await t.test('a restore that was killed while it cleaned up is done, and says so', async () => {
    const killed = new Error('killed');
    const onInPlace = () => Promise.reject(killed);
    await assert.rejects(host.restore(target, {}, { onInPlace }), killed);
    for (const name of await leftOf(target)) {
      await shell`btrfs subvolume delete ${join(stagingPath(target), name)}`;
    }
    const since = world.server.requests.length;
    const { chain } = await host.restore(target);
    assert.deepEqual([chain.length, fetchedBytes(world, since)], [5, 0]);
    assert.deepEqual(await treeDigest(target), fifth.tree);
    assert.deepEqual(await namesIn(world.mount), ['data', 'restored', 'snapshots']);
    await removeTarget(target);
  });

  await t.test('an older backup that is at TARGET is not given for the one that is named', async () => {
    const killed = new Error('killed');
    const onInPlace = () => Promise.reject(killed);
    const third = { manifest: five[2]?.key };
    await assert.rejects(host.restore(target, third, { onInPlace }), killed);
    for (const named of [{ manifest: fifth.key }, { at: fourth.manifest.created_at }]) {
      const before = host.warnings.length;
      const error = await refusal(host.restore(target, named));
      assert.equal(exitCodeOf(error), 2);
      assert.match(
        error.message,
        /restored has the backup of \S+ already, from a restore that was interrupted/,
      );
      assert.equal(error.hint, `choose another TARGET, or finish that restore with MANIFEST=${five[2]?.key}`);
      assert.deepEqual(host.warnings.slice(before), []);
    }
    // The newest may have come since.
    const { chain } = await host.restore(target);
    assert.equal(chain.length, 3);
    assert.match(host.warnings.at(-1) ?? '', /it is finished now\. A newer one is of /);
    assert.deepEqual(await treeDigest(target), five[2]?.tree);
    assert.deepEqual(await namesIn(world.mount), ['data', 'restored', 'snapshots']);
    await removeTarget(target);
  });

  await t.test('what comes to TARGET meanwhile stays, and nothing is fetched again for it', async () => {
    const { settings } = host.context;
    assert.ok(settings);
    breakOff(world, fifth);
    await refusal(host.restore(target));
    world.server.faults.clear();
    await mkdir(target);
    const error = await refusal(host.restore(target));
    assert.equal(exitCodeOf(error), 2);
    assert.match(error.message, /exists already$/);
    assert.equal((await leftOf(target)).length, 1);
    await shell`rmdir ${target}`;
    const since = world.server.requests.length;
    await host.restore(target);
    assert.equal(fetchedBytes(world, since), fifth.manifest.total_bytes);
    await removeTarget(target);
  });
});

test('with SPOOL_DIR the parts of the stream under way are not fetched again either', async (t) => {
  const world = await smallWorld(t);
  const spool = join(world.directory, 'spool');
  const host = await hostIn(world, { settings: { SPOOL_DIR: spool, CONCURRENCY: '1' } });
  const five = await backUpFive(world, host, 20_000_000);
  const [, , third] = five;
  assert.ok(third && third.manifest.chunks.length > 1);
  const target = join(world.mount, 'restored');
  const kept = async (world: World) => {
    const [directory] = await readdir(join(world.directory, 'spool'));
    return directory ? readdir(join(spool, directory)) : [];
  };
  breakOff(world, third);
  const since = world.server.requests.length;
  await refusal(host.restore(target));
  const names = await kept(world);
  assert.ok(names.length >= 2, names.join());
  // One that is damaged on disk is fetched again.
  const [directory = ''] = await readdir(spool);
  await writeFile(join(spool, directory, names[0] ?? ''), Buffer.alloc(5 * 2 ** 20, 1));
  world.server.faults.clear();
  await host.restore(target);
  const again = fetchedBytes(world, since) - bytesOf(five);
  assert.ok(again > 0 && again <= 5 * 2 ** 20, `${again} bytes were fetched again`);
  assert.deepEqual(await treeDigest(target), five[4]?.tree);
  assert.deepEqual(await readdir(spool), []);
  await removeTarget(target);

  await t.test('without room for them the restore goes on without', async () => {
    const tiny = join(world.directory, 'tiny');
    await mkdir(tiny);
    await shell`mount -t tmpfs -o size=4m tmpfs ${tiny}`;
    world.cleanUp(() => unmount(tiny));
    const cramped = await hostIn(world, { settings: { SPOOL_DIR: join(tiny, 'spool') } });
    await cramped.restore(target);
    assert.match(
      cramped.warnings.join('\n'),
      /SPOOL_DIR \S+ has .* free where .* are needed: parts of .* are not kept/,
    );
    assert.deepEqual(await treeDigest(target), five[4]?.tree);
    await removeTarget(target);
  });

  await t.test('a restore that is given up in its first stream leaves no parts', async () => {
    const [first] = five;
    assert.ok(first);
    breakOff(world, first);
    await refusal(host.restore(target));
    assert.match(host.warnings.at(-1) ?? '', /^kept in \S+: parts of the first stream of data;/);
    assert.equal((await readdir(spool)).length, 1);
    await abandonRestore(target);
    assert.deepEqual(await readdir(spool), []);
    assert.equal((await namesIn(world.mount)).includes(basename(stagingPath(target))), false);
  });
});
