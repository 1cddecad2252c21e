/** A restore fits where its data and one step do, and a disk that fills up all the same ends it with what was received kept. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFile, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { fetchedBytes } from './chain-of-five.ts';
import { backUpRewrittenImage } from './rewritten-image.ts';
import { refusal } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { createWorld, namesIn } from './world.ts';

const mib = 2 ** 20;

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

test('an image that was rewritten five times is restored onto a disk that does not hold all its streams', async (t) => {
  const world = await createWorld(t, { KEEP_SNAPSHOTS: '1' }, 700 * mib);
  const host = await hostIn(world);
  const total = await backUpRewrittenImage(world, host, 24 * mib, 5);
  const small = await createLoopFilesystem({ name: 'fits', sizeBytes: 180 * mib });
  world.cleanUp(() => small.remove());
  const target = join(small.mountPoint, 'restored');
  assert.ok((await freeBytes(small.mountPoint)) < total, 'all streams do not fit');

  await t.test('a warning says that it may not fit, and it does', async () => {
    await host.restore(target);
    assert.match(
      host.warnings.join('\n'),
      /has \S+ MiB free, and the restore takes \S+ MiB to 14\d MiB, .* may not fit/,
    );
    assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
    await shell`btrfs subvolume delete --commit-after ${target}`;
    await shell`btrfs subvolume sync ${small.mountPoint}`;
  });

  await t.test('a disk that fills up ends it, and what was received is not fetched again', async () => {
    const filler = join(small.mountPoint, 'filler');
    // Room for the first stream and half of the second: what is certain not to fit is refused before it is fetched.
    await shell`btrfs filesystem sync ${small.mountPoint}`;
    while ((await freeBytes(small.mountPoint)) > 36 * mib) {
      await appendFile(filler, randomBytes(4 * mib));
      await shell`btrfs filesystem sync ${small.mountPoint}`;
    }
    const since = world.server.requests.length;
    const refused = await refusal(host.restore(target));
    assert.match(refused.message, /^the restore needs about 48\.\d MiB, but .* free$/);
    assert.equal(fetchedBytes(world, since), 0);
    assert.deepEqual(await namesIn(small.mountPoint), ['filler']);

    // Mounted with compression nothing is certain, so it is tried.
    await shell`mount -o remount,compress=zstd ${small.mountPoint}`;
    const failed = await refusal(host.restore(target));
    assert.match(failed.message, /^btrfs receive failed: the filesystem of .* is full/);
    assert.match(host.warnings.at(-1) ?? '', /^kept in \S+: 1 of 6 streams of data;/);
    await rm(filler);
    await shell`btrfs filesystem sync ${small.mountPoint}`;
    const again = world.server.requests.length;
    await host.restore(target);
    assert.ok(fetchedBytes(world, again) < total - 24 * mib, 'the first stream was not fetched again');
    assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
    assert.deepEqual(await namesIn(small.mountPoint), ['restored']);
  });
});
