/** Parts of more than 2 GiB, which one call of hash or write does not take: they come back too. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseSize } from '../../lib/core/units.ts';
import { MOST_PART_BYTES } from '../../lib/transfer/memory/transfer-memory.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { hostIn } from '../end-to-end/within-process.ts';
import { createWorld } from '../end-to-end/world.ts';

for (const [partSize, chunkSize, megabytes] of [
  ['2200MiB', '4400MiB', 2300],
  ['5GiB', '10GiB', 5300],
] as const) {
  test(`a part of ${partSize} is uploaded, verified and restored, or refused where it cannot be held`, async (t) => {
    const settings = { PART_SIZE: partSize, CHUNK_SIZE: chunkSize, CONCURRENCY: '1' };
    const world = await createWorld(t, settings, 5 * megabytes * 2 ** 20);
    await shell`head -c ${megabytes * 2 ** 20} /dev/zero | tr '\\0' x > ${join(world.data, 'large')}`;
    const host = await hostIn(world);
    if ((parseSize(partSize) ?? 0) > MOST_PART_BYTES) {
      await assert.rejects(
        host.backUp(),
        /^ToolError: parts of 5\.00 GiB cannot be held in memory: 4\.00 GiB are the most/,
      );
      return;
    }
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
}
