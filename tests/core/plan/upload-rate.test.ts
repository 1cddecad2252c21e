import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measuredRate, secondsBeyondRule } from '../../../lib/core/plan/upload-rate.ts';

const MIB = 2 ** 20;

test('a rate needs enough bytes and seconds', () => {
  assert.equal(measuredRate(640 * MIB, 64), 10 * MIB);
  assert.equal(measuredRate(63 * MIB, 1000), undefined);
  assert.equal(measuredRate(640 * MIB, 9), undefined);
});

test('a chunk takes longer than a rule gives it', () => {
  const day = 86_400;
  const slow = { streamBytes: 10_000 * day, chunkSizeBytes: 2500 * day, rate: 1000 };
  assert.equal(secondsBeyondRule(slow, 1), 2.5 * day);
  assert.equal(secondsBeyondRule(slow, 2), 2.5 * day);
  assert.equal(secondsBeyondRule(slow, 3), undefined);
  // What is sent may be less than a chunk.
  assert.equal(secondsBeyondRule({ ...slow, streamBytes: 900 * day }, 1), undefined);
});
