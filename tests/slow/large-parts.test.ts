/** Parts of more than 2 GiB, which one call of hash or write does not take: they come back too. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { hostIn } from '../end-to-end/within-process.ts';
import { createWorld } from '../end-to-end/world.ts';

test('a part of more than 2 GiB is uploaded, verified and restored', async (t) => {
  const settings = { PART_SIZE: '2200MiB', CHUNK_SIZE: '4400MiB', CONCURRENCY: '1' };
  const world = await createWorld(t, settings, 12 * 2 ** 30);
  await shell`head -c ${2300 * 2 ** 20} /dev/zero | tr '\\0' x > ${join(world.data, 'large')}`;
  const host = await hostIn(world);
  const { manifest } = await host.backUp();
  assert.deepEqual(
    manifest.chunks.map(({ parts = [] }) => parts.length),
    [2],
  );
  assert.deepEqual((await host.verify(true)).findings, []);
  const target = join(world.mount, 'restored');
  await host.restore(target);
  assert.deepEqual(await treeDigest(target), await treeDigest(manifest.snapshot.path));
});
