import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { viewsOf } from '../../../lib/core/stream/chunker.ts';
import { Hasher } from '../../../lib/transfer/memory/hasher.ts';
import { makeSlots, type SharedSlot } from '../../../lib/transfer/memory/part-pool.ts';

const slotBytes = 5000;
const slots = makeSlots(2, slotBytes, 1700);
const one = new Hasher(slots, 1, -1);
const here = new Hasher(slots, 1, Number.POSITIVE_INFINITY);
const hashers = [
  ['one worker', one],
  ['two workers', new Hasher(slots, 2, -1)],
  ['two workers, from the second part or so on', new Hasher(slots, 2, slotBytes)],
  ['no worker', here],
] as const;
after(() => Promise.all(hashers.map(([, hasher]) => hasher.close())));

const of = (algorithm: string, data: Uint8Array) => createHash(algorithm).update(data);

/** Puts bytes at a place in a slot. */
function put({ pieces }: SharedSlot, data: Uint8Array, at = 0): void {
  let put = 0;
  for (const view of viewsOf(pieces, at, at + data.length)) {
    view.set(data.subarray(put, put + view.length));
    put += view.length;
  }
}

/** Chunks of parts, each a slot's length and the places at which its bytes are reported. */
const anyChunks = fc.array(
  fc.array(
    fc.record({
      length: fc.integer({ min: 1, max: slotBytes }),
      cuts: fc.array(fc.integer({ min: 1, max: slotBytes }), { maxLength: 4 }),
      /** Other bytes that come first, and are taken back before the part is finished, or after. */
      takenBack: fc.constantFrom('nothing', 'unfinished', 'finished'),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  { minLength: 1, maxLength: 4 },
);

for (const [workers, hasher] of hashers) {
  test(`digests of parts, chunks and stream are those of node:crypto, however the bytes are reported and taken back: ${workers}`, async () => {
    await fc.assert(
      fc.asyncProperty(anyChunks, async (chunks) => {
        hasher.beginStream();
        const stream = createHash('sha256');
        for (const parts of chunks) {
          const chunk = createHash('sha256');
          for (const [index, { length, cuts, takenBack }] of parts.entries()) {
            const data = randomBytes(length);
            const slot = slots[index % slots.length];
            assert.ok(slot, 'there is a slot');
            const endsChunk = index === parts.length - 1;
            if (takenBack !== 'nothing') {
              hasher.update(slot, 0, slotBytes);
              if (takenBack === 'finished') await hasher.finishPart(endsChunk);
              hasher.takePartBack();
            }
            put(slot, data);
            const places = [0, ...cuts.filter((cut) => cut < length).sort((a, b) => a - b), length];
            for (const [at, from] of places.slice(0, -1).entries())
              hasher.update(slot, from, places[at + 1] ?? 0);
            chunk.update(data);
            stream.update(data);
            assert.deepEqual(await hasher.finishPart(endsChunk), {
              part: of('sha256', data).digest('base64'),
              chunk: endsChunk ? chunk.digest('hex') : '',
              stream: endsChunk ? stream.copy().digest('hex') : '',
            });
          }
        }
      }),
      { numRuns: 40 },
    );
  });
}

for (const [where, hasher] of [
  ['a worker', one],
  ['this thread', here],
] as const) {
  test(`MD5 is of the first bytes of a slot, and does not disturb the part that is being hashed: in ${where}`, async () => {
    const [slot, other] = slots;
    assert.ok(slot && other);
    const data = randomBytes(slotBytes);
    put(slot, data);
    put(other, data);
    hasher.update(slot, 0, 1000);
    assert.equal(await hasher.md5(other, 2700), of('md5', data.subarray(0, 2700)).digest('base64'));
    const pieces = [
      { slot: other, sizeBytes: 700 },
      { slot: other, sizeBytes: 3 },
    ];
    const both = Buffer.concat([data.subarray(0, 700), data.subarray(0, 3)]);
    assert.equal(await hasher.md5OfPieces(pieces), of('md5', both).digest('base64'));
    hasher.update(slot, 1000, 2000);
    assert.equal(
      (await hasher.finishPart(false)).part,
      of('sha256', data.subarray(0, 2000)).digest('base64'),
    );
  });
}

for (const gib of [4, 5]) {
  test(`bytes around each GiB of a slot of ${gib} GiB are hashed, and those at its end`, async () => {
    const large = makeSlots(1, gib * 2 ** 30);
    const [slot] = large;
    assert.ok(slot, 'there is a slot');
    const own = new Hasher(large, 1, -1);
    try {
      const part = createHash('sha256');
      for (let end = 1; end <= gib; end++) {
        const data = randomBytes(2000);
        const from = Math.min(end * 2 ** 30 - 1000, gib * 2 ** 30 - data.length);
        put(slot, data, from);
        own.update(slot, from, from + data.length);
        part.update(data);
      }
      assert.equal((await own.finishPart(true)).part, part.digest('base64'));
    } finally {
      await own.close();
    }
  });
}

test('bytes that a slot does not have are an error, not fewer bytes', async () => {
  const own = new Hasher(makeSlots(1, 10), 1, -1);
  own.update({ index: 0 }, 5, 11);
  await assert.rejects(own.finishPart(true), /a slot of 10 bytes has none at 11/);
  await own.close();
});

for (const [where, hasher] of [
  ['a worker', one],
  ['this thread', here],
] as const) {
  test(`answers come in the order of the questions: in ${where}`, async () => {
    const [slot] = slots;
    assert.ok(slot);
    const data = randomBytes(slotBytes);
    put(slot, data);
    hasher.update(slot, 0, 10);
    const answers = await Promise.all([hasher.finishPart(false), hasher.md5(slot, 20), hasher.md5(slot, 30)]);
    assert.deepEqual(
      [answers[0].part, answers[1], answers[2]],
      [
        of('sha256', data.subarray(0, 10)).digest('base64'),
        of('md5', data.subarray(0, 20)).digest('base64'),
        of('md5', data.subarray(0, 30)).digest('base64'),
      ],
    );
  });
}

for (const [where, hasher] of [
  ['a worker', one],
  ['this thread', here],
] as const) {
  test(`a new stream forgets what was added before, in the middle of a part as well: in ${where}`, async () => {
    const [slot] = slots;
    assert.ok(slot, 'there is a slot');
    const data = randomBytes(slotBytes);
    put(slot, data);
    hasher.update(slot, 0, 10);
    await hasher.finishPart(true);
    hasher.update(slot, 0, 20);
    hasher.beginStream();
    hasher.update(slot, 30, 40);
    const hex = of('sha256', data.subarray(30, 40)).digest('hex');
    const { part, chunk, stream } = await hasher.finishPart(true);
    assert.deepEqual([Buffer.from(part, 'base64').toString('hex'), chunk, stream], [hex, hex, hex]);
  });
}

for (const [where, hasher] of [
  ['a worker', one],
  ['this thread', here],
] as const) {
  test(`where parts alone are hashed, chunks and stream have no hash, until another stream begins: in ${where}`, async () => {
    const [slot] = slots;
    assert.ok(slot, 'there is a slot');
    hasher.beginStream({ partsOnly: true });
    hasher.update(slot, 0, 10);
    const hex = of('sha256', slot.bytes.subarray(0, 10)).digest('hex');
    const part = Buffer.from(hex, 'hex').toString('base64');
    assert.deepEqual(await hasher.finishPart(true), { part, chunk: '', stream: '' });
    hasher.beginStream();
    hasher.update(slot, 0, 10);
    assert.deepEqual(await hasher.finishPart(true), { part, chunk: hex, stream: hex });
  });
}

test('closing rejects the answers that are awaited, and all questions after it', async () => {
  const large = makeSlots(1, 64 * 2 ** 20);
  const closing = new Hasher(large);
  const [slot] = large;
  assert.ok(slot);
  closing.update(slot, 0, slot.bytes.length);
  const waiting = [closing.finishPart(true), closing.md5(slot, slot.bytes.length)];
  const outcomes = Promise.allSettled(waiting);
  await closing.close();
  for (const outcome of await outcomes) {
    assert.equal(outcome.status, 'rejected');
    assert.match(String(outcome.reason), /the hash worker has ended/);
  }
  await assert.rejects(closing.finishPart(true), /the hash worker has ended/);
  const unused = new Hasher(large);
  await unused.close();
  await assert.rejects(unused.finishPart(true), /the hash worker has ended/);
});

test('a worker is started for a stream that is not small, and for no other', async (t) => {
  let started = 0;
  const count = () => {
    started += 1;
  };
  process.on('worker', count);
  t.after(() => process.off('worker', count));
  const large = makeSlots(1, 2 ** 20);
  const [slot] = large;
  assert.ok(slot);
  const own = new Hasher(large, 2);
  for (const [bytes, workers] of [
    [100_000, 0],
    [200_000, 0],
    [slot.bytes.length, 2],
    [100_000, 2],
  ] as const) {
    own.beginStream();
    own.update(slot, 0, bytes);
    const { part, stream } = await own.finishPart(true);
    const hash = of('sha256', slot.bytes.subarray(0, bytes));
    assert.deepEqual([part, stream, started], [hash.copy().digest('base64'), hash.digest('hex'), workers]);
  }
  await own.close();
  // Frames that are small, of zeros for example, and then others.
  const parts = new Hasher(large, 1);
  parts.beginStream({ partsOnly: true });
  for (const [bytes, workers] of [
    [200_000, 2],
    [200_000, 2],
    [slot.bytes.length, 3],
  ] as const) {
    parts.update(slot, 0, bytes);
    const { part } = await parts.finishPart(true);
    assert.deepEqual(
      [part, started],
      [of('sha256', slot.bytes.subarray(0, bytes)).digest('base64'), workers],
    );
  }
  await parts.close();
});

test('a worker that fails rejects what is awaited with its own reason', async () => {
  for (const hereBytes of [-1, 10]) {
    const failing = new Hasher(makeSlots(1, 10), 1, hereBytes);
    failing.update({ index: 7 }, 0, 1);
    await assert.rejects(failing.finishPart(true), /there is no slot 7/);
    await assert.rejects(failing.md5({ index: 0 }, 1), /there is no slot 7/);
    await failing.close();
  }
});
