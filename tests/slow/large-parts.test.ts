/** Parts of 2 GiB, which one call of hash or write does not take, and of 5 GiB, the most that S3 takes: they come back too. */
import assert from 'node:assert/strict';
import { createCipheriv, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { GIB, MIB } from '../../lib/core/units.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { hostIn } from '../end-to-end/within-process.ts';
import { createWorld } from '../end-to-end/world.ts';

/** Bytes of which no two places look alike, quicker than /dev/urandom. */
function* noise(sizeBytes: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(MIB);
  for (let at = 0; at < sizeBytes; at += MIB) yield cipher.update(zeros);
}

for (const [gib, chunkSize] of [
  [2, '4GiB'],
  [5, '10GiB'],
] as const) {
  test(`a part of ${gib}GiB is uploaded, verified and restored`, async (t) => {
    const settings = { PART_SIZE: `${gib}GiB`, CHUNK_SIZE: chunkSize, CONCURRENCY: '1' };
    const dataBytes = gib * GIB + 100 * MIB;
    const world = await createWorld(t, settings, 2 * dataBytes + 2 * GIB);
    await pipeline(noise(dataBytes), createWriteStream(join(world.data, 'large')));
    const host = await hostIn(world);
    const { manifest } = await host.backUp();
    assert.deepEqual(
      manifest.chunks.map(({ part_size, parts = [] }) => [part_size, parts.length]),
      [[gib * GIB, 2]],
    );
    assert.deepEqual((await host.verify(true)).findings, []);
    const target = join(world.mount, 'restored');
    await host.restore(target);
    assert.deepEqual(await treeDigest(target), await treeDigest(manifest.snapshot.path));
  });
}
