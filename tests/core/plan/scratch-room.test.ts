import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageSizes, scratchRoom } from '../../../lib/core/plan/scratch-room.ts';
import { GIB, MIB, TIB } from '../../../lib/core/units.ts';

test('two streams in a row are there at once; all of them never take more than twice their sum', () => {
  assert.deepEqual(scratchRoom([100, 10, 50]), { atLeast: 110, atMost: 320 + 64 * MIB });
  assert.deepEqual(scratchRoom([10, 100, 50]), { atLeast: 150, atMost: 320 + 64 * MIB });
  assert.deepEqual(scratchRoom([100]), { atLeast: 100, atMost: 200 + 64 * MIB });
});

test('an image is whole MiB, holds small files, and the smaller size fits ext4 where the chain does', () => {
  assert.deepEqual(imageSizes([1]), [4 * GIB + MIB, 4 * GIB + MIB]);
  assert.deepEqual(imageSizes([GIB, GIB]), [8 * GIB, Math.ceil((2.2 * GIB) / MIB) * MIB + 4 * GIB]);
  const [large = 0, small = 0] = imageSizes([14 * TIB]);
  assert.ok(large > 16 * TIB && small < 16 * TIB);
});
