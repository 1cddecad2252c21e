/** What `btrfs send` cannot read: a file that the disk has spoilt, which Btrfs does not give out, or a snapshot that is not there any more. */
import assert from 'node:assert/strict';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { showSubvolume } from '../../lib/edge/btrfs/btrfs.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { unmountEverywhere } from '../support/unmount-everywhere.ts';
import { proveIs, refusal, smallWorld } from './small-world.ts';
import { hostIn } from './within-process.ts';

test('a file that cannot be read is named, with what to do, and once that is done the next backup succeeds', async (t) => {
  const world = await smallWorld(t);
  const marked = 'a line that is nowhere else\n';
  await writeFile(join(world.data, 'spoilt'), marked.repeat(20_000));
  await writeFile(join(world.data, 'sound'), 'sound');
  const [image = ''] = (
    await shell`losetup -n -O BACK-FILE ${(await shell`findmnt -n -v -o SOURCE ${world.mount}`).stdout.trim()}`
  ).stdout.split('\n');
  await unmountEverywhere(world.mount);
  const file = await open(image, 'r+');
  await file.write('X', (await readFile(image)).indexOf(marked.repeat(100)));
  await file.close();
  await shell`mount -o loop ${image} ${world.mount}`;

  const host = await hostIn(world);
  const { snapshotPath = '' } = (await host.plan()) as { snapshotPath?: string };
  const error = await refusal(host.upload());
  const tells = (await shell({ nothrow: true })`dmesg`).exitCode === 0;
  const what = tells ? join(snapshotPath, 'spoilt') : `something in ${snapshotPath}`;
  assert.equal(error.message, `btrfs send failed: ${what} cannot be read`);
  assert.equal(
    error.hint,
    `dmesg says why, and btrfs scrub mends it where there is another copy; otherwise replace it, delete the snapshot ${snapshotPath}, and run make backup`,
  );
  assert.match(error.childOutput ?? '', /Input\/output error/);

  await rm(join(world.data, 'spoilt'));
  await shell`btrfs subvolume delete ${snapshotPath}`;
  const { manifest } = await host.backUp();
  await proveIs(world, await treeDigest(manifest.snapshot.path));
});

test('a snapshot that was deleted after planning is named, and the next backup takes another one', async (t) => {
  const world = await smallWorld(t);
  await writeFile(join(world.data, 'file'), 'content');
  const host = await hostIn(world);
  const { snapshotPath = '' } = (await host.plan()) as { snapshotPath?: string };
  const { uuid } = await showSubvolume(snapshotPath);
  await shell`btrfs subvolume delete ${snapshotPath}`;
  const { message, hint } = await refusal(host.upload());
  assert.deepEqual(
    [message, hint],
    [
      `btrfs send failed: the snapshot ${snapshotPath} no longer exists`,
      'run: make backup; it abandons this backup and starts another',
    ],
  );
  const { manifest } = await host.backUp();
  assert.notEqual(manifest.snapshot.uuid, uuid);
});
