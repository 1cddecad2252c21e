import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodedSlotBytes, MAX_PLAIN_FRAME_BYTES } from '../../../lib/core/format/frames.ts';
import { S3_LIMITS } from '../../../lib/core/stream/part-sizes.ts';
import { GIB } from '../../../lib/core/units.ts';
import { copyInto, makeSlots, PartPool } from '../../../lib/transfer/memory/part-pool.ts';

test('slots are of the size asked for, numbered, and each has memory of its own that threads can share', () => {
  const slots = makeSlots(3, 1000);
  assert.deepEqual(
    slots.map(({ index, bytes }) => [index, bytes.length]),
    [
      [0, 1000],
      [1, 1000],
      [2, 1000],
    ],
  );
  assert.ok(slots.every(({ bytes }) => bytes.buffer instanceof SharedArrayBuffer));
  assert.equal(new Set(slots.map(({ bytes }) => bytes.buffer)).size, 3);
});

test('a slot is made of pieces that a worker gets whole: an encoded frame has one, a part of 5 GiB several', () => {
  const lengths = ([slot]: ReturnType<typeof makeSlots>) => slot?.pieces.map(({ length }) => length);
  const frame = encodedSlotBytes(MAX_PLAIN_FRAME_BYTES);
  assert.deepEqual(lengths(makeSlots(1, frame)), [frame]);
  assert.deepEqual(lengths(makeSlots(1, 2500, 1000)), [1000, 1000, 500]);
  const large = lengths(makeSlots(1, S3_LIMITS.maxPartBytes)) ?? [];
  assert.equal(
    large.reduce((sum, length) => sum + length, 0),
    S3_LIMITS.maxPartBytes,
  );
  assert.ok(Math.max(...large) < 2 * GIB, `${large}`);
});

test('no slot is given out twice, and the next caller waits until one comes back', async () => {
  const pool = new PartPool(makeSlots(2, 10));
  const [first, second] = [await pool.acquire(), await pool.acquire()];
  assert.notEqual(first.index, second.index);
  let given: number | undefined;
  const third = pool.acquire().then((slot) => {
    given = slot.index;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(given, undefined);
  pool.release(second);
  await third;
  assert.equal(given, second.index);
});

test('who has waited longest is served first', async () => {
  const pool = new PartPool(makeSlots(1, 10));
  const slot = await pool.acquire();
  const order: string[] = [];
  const waiting = ['first', 'second', 'third'].map((name) =>
    pool.acquire().then((own) => {
      order.push(name);
      pool.release(own);
    }),
  );
  pool.release(slot);
  await Promise.all(waiting);
  assert.deepEqual(order, ['first', 'second', 'third']);
  assert.equal((await pool.acquire()).index, 0);
});

test('bytes are copied to their place whatever its alignment, and never beyond the end', () => {
  const [slot] = makeSlots(1, 64);
  assert.ok(slot, 'there is a slot');
  for (const [viewAt, at, length] of [
    [0, 0, 64],
    [3, 5, 17],
    [1, 62, 1],
    [8, 55, 1],
    [9, 20, 0],
  ] as const) {
    slot.bytes.fill(0);
    const bytes = Uint8Array.from({ length }, (_, index) => index + 1);
    copyInto(slot.bytes.subarray(viewAt), at, bytes);
    const expected = new Uint8Array(64);
    expected.set(bytes, viewAt + at);
    assert.deepEqual(Uint8Array.from(slot.bytes), expected);
  }
  assert.throws(() => copyInto(slot.bytes.subarray(0, 10), 8, new Uint8Array(3)), RangeError);
  assert.throws(() => copyInto(slot.bytes, 64, new Uint8Array(1)), RangeError);
});
