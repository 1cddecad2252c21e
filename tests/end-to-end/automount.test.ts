/** A filesystem that was mounted on access: two mounts on one path, of which the later one is the one that counts. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { unmount } from '../support/unmount-everywhere.ts';
import { smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';

test('two mounts on one path, as of x-systemd.automount: backups, adopted snapshots and restores work', async (t) => {
  const world = await smallWorld(t);
  const auto = join(world.directory, 'auto');
  await mkdir(auto);
  const device = (await shell`findmnt -n -o SOURCE -M ${world.mount}`).stdout.trim();
  // Stands for the autofs mount of systemd.
  await shell`mount -t tmpfs systemd-1 ${auto}`;
  world.cleanUp(() => unmount(auto));
  await shell`mount -o subvolid=5 ${device} ${auto}`;
  world.cleanUp(() => unmount(auto));
  assert.equal((await shell`findmnt -n -o FSTYPE -T ${auto}`).stdout.trim().split('\n').length, 2);

  await write(world, 'a');
  const settings = { SNAPSHOT_DIR: join(auto, 'snapshots') };
  const host = await hostIn(world, { settings, path: join(auto, 'data') });
  await host.backUp();
  await write(world, 'b');
  const { manifest } = await host.backUp();
  assert.equal(manifest.kind, 'incremental');
  assert.match(manifest.filesystem_uuid ?? '', /^[0-9a-f-]{36}$/);
  assert.deepEqual(host.warnings, []);

  const target = join(auto, 'restored');
  await host.restore(target);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));

  const { prepareSnapshot } = await import('../../lib/stage/backup/snapshot.ts');
  const subvolume = { name: 'theirs', snapshots: `${auto}/snapshots/*` };
  const planned = await prepareSnapshot(host.context, subvolume, {
    kind: 'auto',
    ifDue: false,
    dryRun: true,
  });
  assert.equal('snapshotPath' in planned && planned.snapshotPath, manifest.snapshot.path);
});
