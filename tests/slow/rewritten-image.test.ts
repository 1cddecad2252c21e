/** As it was seen: 150 MiB rewritten five times were refused with 687 MiB free. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { backUpRewrittenImage } from '../end-to-end/rewritten-image.ts';
import { hostIn } from '../end-to-end/within-process.ts';
import { createWorld } from '../end-to-end/world.ts';

const mib = 2 ** 20;

test('an image of 150 MiB that was rewritten five times is restored onto a disk of 700 MiB', async (t) => {
  const world = await createWorld(t, { CHUNK_SIZE: '64MiB', PART_SIZE: '16MiB', KEEP_SNAPSHOTS: '1' });
  const host = await hostIn(world);
  const total = await backUpRewrittenImage(world, host, 150 * mib, 5);
  assert.ok(total > 700 * mib);
  const small = await createLoopFilesystem({ name: 'image', sizeBytes: 700 * mib });
  world.cleanUp(() => small.remove());
  const target = join(small.mountPoint, 'restored');
  await host.restore(target);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
});
