import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransferMemory } from '../../../lib/transfer/memory/transfer-memory.ts';

test('slots are made anew for larger parts, and after they were let go of; otherwise they stay', async (t) => {
  const memory = new TransferMemory(1);
  t.after(() => memory.close());
  const bytesFor = async (partSizeBytes: number) => {
    const { pool } = await memory.open(partSizeBytes, 1);
    const { bytes } = await pool.acquire();
    return bytes;
  };
  const first = await bytesFor(1000);
  assert.equal(await bytesFor(500), first);
  const larger = await bytesFor(2000);
  assert.equal(larger.length, 2000);
  await memory.close();
  const again = await bytesFor(2000);
  assert.deepEqual([again.length, again === larger], [2000, false]);
});
