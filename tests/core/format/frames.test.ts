import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  endsPart,
  exceedsManifest,
  frameSchema,
  largestFrameBytes,
  MAX_FRAMES,
  MAX_PARTS,
  MAX_PLAIN_FRAME_BYTES,
  partRangesOf,
  partsOfFrames,
  tooManyParts,
} from '../../../lib/core/format/frames.ts';
import { GIB, MIB } from '../../../lib/core/units.ts';

const least = 5 * MIB;
const framesOf = (...sizes: readonly number[]) => sizes.map((size) => ({ size, plain_size: 64 * MIB }));

for (const [sizes, parts] of [
  [[1], [1]],
  [[least], [1]],
  [[least - 1], [1]],
  [
    [least, 1],
    [1, 1],
  ],
  [[least - 1, 1], [2]],
  [
    [least - 1, least, least],
    [2, 1],
  ],
  [
    [64 * MIB, 64 * MIB, 3],
    [1, 1, 1],
  ],
  [
    [2 * MIB, 2 * MIB, 2 * MIB, 1],
    [3, 1],
  ],
  [Array(3000).fill(1800), [2913, 87]],
] as const) {
  test(`frames of ${sizes.slice(0, 4)} bytes make parts of ${parts} of them`, () => {
    const made = partsOfFrames(framesOf(...sizes));
    assert.deepEqual(
      made.map(({ count }) => count),
      parts,
    );
    assert.equal(
      made.reduce((sum, { size }) => sum + size, 0),
      sizes.reduce((sum: number, size: number) => sum + size, 0),
    );
    for (const { size } of made.slice(0, -1)) assert.ok(size >= least);
    // Each begins where the one before it ends.
    assert.deepEqual(
      made.map(({ first }) => first),
      parts.map((_, index) => parts.slice(0, index).reduce((sum: number, count) => sum + count, 0)),
    );
  });
}

test('a part ends with the frame that makes it large enough, or with its chunk', () => {
  assert.deepEqual(
    [endsPart(least - 1, false), endsPart(least, false), endsPart(1, true)],
    [false, true, true],
  );
});

test('the parts of a stored chunk follow from its frames, or from the size of a part', () => {
  const frames = framesOf(2 * MIB, 4 * MIB, 7);
  assert.deepEqual(partRangesOf({ size: 6 * MIB + 7, frames }), [
    { number: 1, offset: 0, length: 6 * MIB },
    { number: 2, offset: 6 * MIB, length: 7 },
  ]);
  assert.deepEqual(partRangesOf({ size: 25, part_size: 10 }), [
    { number: 1, offset: 0, length: 10 },
    { number: 2, offset: 10, length: 10 },
    { number: 3, offset: 20, length: 5 },
  ]);
  assert.deepEqual(partRangesOf({ size: 25 }), [{ number: 1, offset: 0, length: 25 }]);
});

test('a frame is bounded by what is held in memory', () => {
  const most = { size: largestFrameBytes(GIB), plain_size: GIB };
  assert.equal(MAX_PLAIN_FRAME_BYTES, GIB);
  assert.deepEqual(frameSchema.parse(most), most);
  for (const change of [{ size: most.size + 1 }, { plain_size: GIB + 1 }, { size: 0 }, { plain_size: 0 }])
    assert.equal(frameSchema.safeParse({ ...most, ...change }).success, false);
});

test('a filesystem that holds more than its parts or frames may is named before anything is sent', () => {
  for (const [isEncoded, most, size, codec] of [
    [true, MAX_FRAMES, '30.5 TiB', ' with COMPRESS or ENCRYPT_TO'],
    [false, MAX_PARTS, '91.6 TiB', ''],
  ] as const) {
    const limit = most * 32 * MIB;
    assert.equal(tooManyParts(limit, 32 * MIB, isEncoded), undefined);
    const said = tooManyParts(limit + 1, 32 * MIB, isEncoded) ?? '';
    const expected = `its filesystem holds ${size}, and a backup${codec} at most ${size} in parts of 32.0 MiB: `;
    assert.ok(said.startsWith(expected), said);
    const [, mib = ''] = /: set PART_SIZE=(\d+)MiB$/.exec(said) ?? [];
    assert.equal(tooManyParts(limit + 1, Number(mib) * MIB, isEncoded), undefined);
  }
});

test('the last chunk that the manifest has room for', () => {
  const layout = { chunkSizeBytes: 10 * GIB, partSizeBytes: 32 * MIB };
  for (const [isEncoded, most] of [
    [true, MAX_FRAMES],
    [false, MAX_PARTS],
  ] as const) {
    const last = Math.floor(most / 320) - 1;
    assert.deepEqual(
      [last, last + 1].map((index) => exceedsManifest(index, layout, isEncoded)),
      [false, true],
    );
  }
});
