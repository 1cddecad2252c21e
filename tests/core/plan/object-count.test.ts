import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countObjects } from '../../../lib/core/plan/object-count.ts';

const layout = { chunkSizeBytes: 100, partSizeBytes: 10 };

test('a chunk of one part is one request; others are parts of a chunk that is begun and completed', () => {
  for (const [bytes, wholeChunks, partedChunks, parts] of [
    [0, 0, 0, 0],
    [1, 1, 0, 0],
    [10, 1, 0, 0],
    [11, 0, 1, 2],
    [100, 0, 1, 10],
    [101, 1, 1, 10],
    [250, 0, 3, 25],
  ] as const) {
    assert.deepEqual(countObjects(bytes, layout), { wholeChunks, partedChunks, parts }, `${bytes} bytes`);
  }
  assert.deepEqual(countObjects(25, { chunkSizeBytes: 10, partSizeBytes: 10 }), {
    wholeChunks: 3,
    partedChunks: 0,
    parts: 0,
  });
});
