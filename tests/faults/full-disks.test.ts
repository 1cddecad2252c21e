/** A filesystem fills up in the middle of a run: that of RUN_DIR, or that of TARGET. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { processesAbout, startScript, whileRunning } from '../end-to-end/running-script.ts';
import {
  assertFailed,
  assertPublished,
  assertSentOnce,
  concurrency,
  partBytes,
  proveBackup,
  slowDownload,
  uploadUnderWay,
} from '../end-to-end/under-way.ts';
import { allKeys, createWorld, mustSucceed, namesIn } from '../end-to-end/world.ts';
import { tinyFilesystem } from '../support/temporary-directory.ts';

const mib = 2 ** 20;
const tiny = tinyFilesystem('full-disks', 256 * 1024);

/** Fills a filesystem up to its last byte with one file. */
async function fill(path: string): Promise<void> {
  const { exitCode, stderr } = await shell({ nothrow: true })`LC_ALL=C dd if=/dev/zero of=${path} bs=4096`;
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /No space left on device/);
}

test('RUN_DIR fills up in the middle of an upload: the run ends and names it, and the next one goes on when there is room', async (t) => {
  const world = await createWorld(t, { RUN_DIR: join(tiny, 'run') });
  // The journal grows by more than a page, which is what a filesystem in memory hands out.
  await writeFile(join(world.data, 'random'), randomBytes(150 * mib));
  const upload = await uploadUnderWay(world);
  await fill(join(tiny, 'filler'));
  const journal = join(tiny, 'run/data/upload.jsonl');
  await assertFailed(
    world,
    await upload.ended,
    new RegExp(`^cannot write ${journal}: the disk is full; make room, or set RUN_DIR to another disk`),
  );
  world.server.faults.clear();
  await assertPublished(world, 0);
  const whole = await allKeys(world);
  assert.ok(whole.length > 0, 'some chunks are whole');

  const again = await world.run('send-chunk-upload.ts');
  await assertFailed(world, again, new RegExp(`${join(tiny, 'run')}.*(the disk is full|space)`));

  await rm(join(tiny, 'filler'));
  const since = world.server.requests.length;
  const total = await proveBackup(world);
  await assertSentOnce(world, { whole, since, mostBytes: total + 2 * concurrency * partBytes });
});

test('something else fills the filesystem of TARGET in the middle of a restore: nothing of the restore is left', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(96 * mib));
  await world.backup();
  const small = await createLoopFilesystem({ name: 'small', sizeBytes: 300 * mib });
  world.cleanUp(() => small.remove());
  const [target, filler] = [join(small.mountPoint, 'restored'), join(small.mountPoint, 'filler')];
  const selection = ['--subvolume', 'data', '--target', target];

  world.server.faults.set([slowDownload]);
  const restore = startScript(world, await world.settingsFile(), 'restore.ts', ...selection);
  await whileRunning(
    restore,
    'btrfs receive at work',
    async () => (await processesAbout(small.mountPoint, 'btrfs receive')).length > 0,
  );
  await fill(filler);
  const failed = await restore.ended;
  assert.ok((await stat(filler)).size > 0);
  await assertFailed(
    world,
    failed,
    new RegExp(`^btrfs receive failed: the filesystem of ${small.mountPoint} is full; make room there, `),
  );
  assert.deepEqual(await namesIn(small.mountPoint), ['filler'], 'neither TARGET nor a staging directory');
  assert.deepEqual(await processesAbout(small.mountPoint), []);

  world.server.faults.clear();
  const refused = await world.run('restore.ts', ...selection);
  await assertFailed(world, refused, /^the restore needs about 9\d.* MiB, but .* has .* free; make room/);
  await rm(filler);
  await shell`btrfs filesystem sync ${small.mountPoint}`;
  await mustSucceed(world, 'restore.ts', ...selection);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
  const { bavail, bsize } = await statfs(small.mountPoint);
  assert.ok(bavail * bsize > 0);
});
