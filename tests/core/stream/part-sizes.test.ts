import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseLayout, partRanges, S3_LIMITS } from '../../../lib/core/stream/part-sizes.ts';
import { GIB, MIB, TIB } from '../../../lib/core/units.ts';

const chunkSize = fc.oneof(
  fc.integer({ min: S3_LIMITS.minPartBytes, max: S3_LIMITS.maxObjectBytes }),
  fc.integer({ min: 5, max: 48 * 2 ** 20 }).map((mebibytes) => mebibytes * MIB),
  fc.integer({ min: S3_LIMITS.minPartBytes, max: 128 * MIB }),
);

test('the limits are those that S3 documents', () => {
  assert.deepEqual(S3_LIMITS, {
    minPartBytes: 5_242_880,
    maxPartBytes: 5_368_709_120,
    maxPartsPerObject: 10_000,
    maxObjectBytes: 53_687_091_200_000,
  });
});

for (const [chunk, part, expected] of [
  [5 * MIB, 'auto', 5 * MIB],
  [32 * MIB - 1, 'auto', 32 * MIB - 1],
  [32 * MIB, 'auto', 32 * MIB],
  [32 * MIB + 1, 'auto', 32 * MIB],
  [200 * GIB, 'auto', 32 * MIB],
  [320_000 * MIB, 'auto', 32 * MIB],
  [320_000 * MIB + 1, 'auto', 33 * MIB],
  [TIB, 'auto', 105 * MIB],
  [5 * TIB, 'auto', 525 * MIB],
  [200 * GIB, 100 * MIB, 100 * MIB],
  [200 * GIB, 32 * MIB + 1, 32 * MIB + 1],
  [10 * MIB, 64 * MIB, 10 * MIB],
  [50_000 * MIB, 5 * MIB, 5 * MIB],
  [5 * TIB, 5 * GIB, 5 * GIB],
  [50_000 * GIB, 'auto', 5 * GIB],
] as const) {
  test(`a chunk of ${chunk} bytes with PART_SIZE ${part} has parts of ${expected} bytes`, () => {
    assert.deepEqual(chooseLayout(chunk, part), { chunkSizeBytes: chunk, partSizeBytes: expected });
  });
}

for (const [chunk, part, message] of [
  [50_000 * GIB + 1, 'auto', /over 48.8 TiB/],
  [200 * GIB, 5 * MIB - 1, /must be between 5 MiB and 5 GiB/],
  [200 * GIB, 5 * GIB + 1, /must be between 5 MiB and 5 GiB/],
  [5 * MIB - 1, 'auto', /must be between 5 MiB and 5 GiB/],
  [
    50_000 * MIB + 1,
    5 * MIB,
    /is too small: a chunk of 48.8 GiB would need more than 10,000 parts of 5.00 MiB/,
  ],
] as const) {
  test(`a chunk of ${chunk} bytes with PART_SIZE ${part} is refused`, () => {
    assert.throws(() => chooseLayout(chunk, part), { name: 'RangeError', message });
  });
}

test('automatic part sizes keep every chunk size within the limits of S3', () => {
  fc.assert(
    fc.property(chunkSize, (size) => {
      const { partSizeBytes } = chooseLayout(size, 'auto');
      const parts = Math.ceil(size / partSizeBytes);
      assert.ok(partSizeBytes >= 5 * MIB, `a part of ${partSizeBytes} bytes`);
      assert.ok(partSizeBytes <= 5 * GIB, `a part of ${partSizeBytes} bytes`);
      assert.ok(parts <= 10_000, `${parts} parts`);
      assert.ok(partSizeBytes === size || partSizeBytes % MIB === 0, 'not a whole number of MiB');
    }),
    { numRuns: 2000 },
  );
});

test('any part size either fits the limits of S3 or is refused', () => {
  const partSize = fc.integer({ min: 0, max: 6 * GIB });
  fc.assert(
    fc.property(chunkSize, partSize, (size, wanted) => {
      const part = Math.min(size, wanted);
      const fits = part >= 5 * MIB && part <= 5 * GIB && Math.ceil(size / part) <= 10_000;
      if (fits) assert.equal(chooseLayout(size, wanted).partSizeBytes, part);
      else assert.throws(() => chooseLayout(size, wanted), RangeError);
    }),
  );
});

test('part ranges are numbered from 1, touch each other, cover everything, and only the last is shorter', () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 1000 }), (size, part) => {
      fc.pre(size / part <= 10_000);
      const ranges = partRanges(size, part);
      let end = 0;
      for (const [index, range] of ranges.entries()) {
        assert.equal(range.number, index + 1);
        assert.equal(range.offset, end);
        const last = index === ranges.length - 1;
        assert.equal(range.length, last ? size - end : part);
        assert.ok(range.length >= 1 && range.length <= part, `a part of ${range.length} bytes`);
        end += range.length;
      }
      assert.equal(end, size);
    }),
  );
});

test('the largest chunk with automatic parts ends at its last byte', () => {
  const { partSizeBytes } = chooseLayout(5 * TIB, 'auto');
  const ranges = partRanges(5 * TIB, partSizeBytes);
  const last = ranges.at(-1);
  assert.equal(ranges.length, 9987);
  assert.equal((last?.offset ?? 0) + (last?.length ?? 0), 5 * TIB);
});

test('nothing has no parts, and exactly one part is one part', () => {
  assert.deepEqual(partRanges(0, 5), []);
  assert.deepEqual(partRanges(5, 5), [{ number: 1, offset: 0, length: 5 }]);
  assert.deepEqual(partRanges(6, 5), [
    { number: 1, offset: 0, length: 5 },
    { number: 2, offset: 5, length: 1 },
  ]);
});
