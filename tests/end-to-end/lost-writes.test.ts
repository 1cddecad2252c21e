/** Disks that are full or failing below a filesystem that has room: the kernel takes the bytes, and loses them when it writes them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { exitCodeOf } from '../../lib/core/errors.ts';
import { extract, planExtract } from '../../lib/stage/restore/extract/extract.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { copiedBucket } from '../support/copied-bucket.ts';
import { ext4 } from '../support/ext4.ts';
import { refusal, smallWorld } from './small-world.ts';
import { hostIn } from './within-process.ts';
import type { World } from './world.ts';

const mib = 2 ** 20;

/** A filesystem of 1 GiB on a disk that takes all of its metadata, and so many bytes more. */
async function thin(world: World, roomBytes = 20 * mib) {
  const disk = await ext4('thin', 400 * mib);
  const [image, mount, filler] = [join(disk, 'image'), join(world.directory, 'thin'), join(disk, 'filler')];
  await mkdir(mount);
  await shell`truncate -s 1G ${image}`;
  await shell`mkfs.btrfs -q -K -m single ${image}`;
  await shell`mount -o loop,nodiscard ${image} ${mount}`;
  // The mount namespace of another test may hold it for a moment.
  world.cleanUp(() => shell`umount ${mount} || { sleep 3; umount ${mount}; }`);
  // Such files lie in the metadata: the kernel sets aside a second piece of the disk for it, 112 MiB behind the first 21.
  for (let index = 0; index < 6000; index++) writeFileSync(join(mount, `.${index}`), Buffer.alloc(1500));
  await shell`sync -f ${mount}`;
  await shell`fallocate -l 133MiB ${image}`;
  const { bfree, bsize } = await statfs(disk);
  await shell`fallocate -l ${bfree * bsize - roomBytes} ${filler}`;
  const list = async () => (await readdir(mount)).filter((name) => !/^\.\d+$/.test(name));
  return { mount, list, makeRoom: () => rm(filler) };
}

async function worldOfFiles(t: Parameters<typeof smallWorld>[0]) {
  const world = await smallWorld(t);
  for (let index = 0; index < 9; index++)
    await writeFile(join(world.data, `file-${index}`), randomBytes(5 * mib));
  const host = await hostIn(world);
  const { manifest } = await host.backUp();
  return { world, host, tree: await treeDigest(manifest.snapshot.path) };
}

test('a restore fails when the disk below TARGET does not take all that was written, and the next one is whole', async (t) => {
  const { world, host, tree } = await worldOfFiles(t);
  const { mount, list, makeRoom } = await thin(world);
  const target = join(mount, 'restored');
  const error = await refusal(host.restore(target));
  assert.equal(exitCodeOf(error), 1);
  assert.match(error.message, new RegExp(`^not all that was written to ${mount} has reached its disk$`));
  assert.match(error.childOutput ?? '', /No space left on device|Input\/output error/);
  assert.deepEqual(await list(), []);
  await makeRoom();
  await host.restore(target);
  assert.deepEqual(await treeDigest(target), tree);
});

test('an extract leaves nothing in TO when the disk below it does not take all that was written', async (t) => {
  const { world, host } = await worldOfFiles(t);
  const { mount, makeRoom } = await thin(world);
  const to = join(mount, 'to');
  await mkdir(to);
  const run = async () => {
    const request = { subvolume: 'data', selection: {}, thaw: {}, paths: '/', to };
    return extract(host.context, await planExtract(host.context, request), true);
  };
  const error = await refusal(run());
  assert.match(error.message, new RegExp(`^not all that was written to ${to} has reached its disk$`));
  assert.deepEqual(await readdir(to), []);
  await makeRoom();
  assert.equal((await run()).copied.length, 9);
});

test('recover.sh fails there too, and restores where there is room', async (t) => {
  const { world, tree } = await worldOfFiles(t);
  // It keeps what it has fetched there.
  const { mount, makeRoom } = await thin(world, 50 * mib);
  const { host } = await copiedBucket(world, join(world.directory, 'bare'), 'fleet/host-1/recover.sh');
  const target = join(mount, 'restored');
  const failed = await host.recover('restore', 'data', target);
  assert.equal(failed.exitCode, 1, failed.stderr);
  assert.match(
    failed.stderr,
    /recover\.sh: not all that was written to \S+recover-restored has reached its disk: sync: /,
  );
  await makeRoom();
  const restored = await host.recover('restore', 'data', target);
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.deepEqual(await treeDigest(target), tree);
});
