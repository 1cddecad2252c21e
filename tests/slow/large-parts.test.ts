/** Parts of more than 2 GiB, which one call of hash or write does not take: they come back too. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { hostIn } from '../end-to-end/within-process.ts';
import { createWorld } from '../end-to-end/world.ts';

test('a part of 2200MiB is uploaded, verified and restored', async (t) => {
  const settings = { PART_SIZE: '2200MiB', CHUNK_SIZE: '4400MiB', CONCURRENCY: '1' };
  const world = await createWorld(t, settings, 5 * 2300 * 2 ** 20);
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

test('a part of 5GiB is refused before anything is sent', async (t) => {
  const world = await createWorld(t, { PART_SIZE: '5GiB', CHUNK_SIZE: '10GiB', CONCURRENCY: '1' });
  const host = await hostIn(world);
  await assert.rejects(
    host.backUp(),
    /^ToolError: parts of 5\.00 GiB cannot be held in memory: 4\.00 GiB are the most/,
  );
});
