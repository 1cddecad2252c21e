import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { passesCompressionOn } from '../../../lib/edge/btrfs/attributes.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { loopBtrfs } from '../../support/loop-btrfs.ts';
import { unmount } from '../../support/unmount-everywhere.ts';

const mount = await loopBtrfs('attributes');

test('a new subvolume has the compression property of the one that it lies in, not of the directory', async (t) => {
  const [outer, directory] = [join(mount, 'outer'), join(mount, 'outer/a/b')];
  await shell`btrfs subvolume create ${outer}`;
  mkdirSync(directory, { recursive: true });
  const bound = join(mount, 'bound');
  mkdirSync(bound);
  const agrees = async (expected: boolean) => {
    assert.equal(await passesCompressionOn(directory), expected);
    const made = join(directory, 'made');
    await shell`btrfs subvolume create ${made}`;
    const { stdout } = await shell`btrfs property get ${made} compression`;
    await shell`btrfs subvolume delete ${made}`;
    assert.equal(stdout !== '', expected);
  };
  await agrees(false);
  await shell`btrfs property set ${directory} compression zstd`;
  await agrees(false);
  await shell`btrfs property set ${outer} compression lzo`;
  await agrees(true);
  assert.equal(await passesCompressionOn(mount), false);
  await shell`mount --bind ${directory} ${bound}`;
  t.after(() => unmount(bound));
  assert.equal(await passesCompressionOn(bound), true, 'its top is out of sight');
});
