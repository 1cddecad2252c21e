import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EarlierFrames, isFrameOf, type PlainFrame } from '../../../lib/transfer/codec/earlier-frames.ts';

const least = 5 * 2 ** 20;
const frame = (size: number, word: string) => ({ size, plain_size: 100, plain_sha256: word });
const part = (number: number, first_frame: number, sizes: readonly number[], words: string) => ({
  number,
  size: sizes.reduce((sum, size) => sum + size, 0),
  sha256: `stored ${number}`,
  etag: `"${number}"`,
  first_frame,
  frames: sizes.map((size, index) => frame(size, words[index] ?? '')),
});
/** Frames `a b c | d | e f` in three parts; the last one is small and ends the chunk. */
const parts = [
  part(1, 0, [2e6, 2e6, 2e6], 'abc'),
  part(2, 3, [least], 'd'),
  part(3, 4, [10, 20], 'ef'),
] as const;

/** What becomes of a chunk whose frames are these letters; `.` after the last one where the chunk ends. */
function judge(letters: string, kept: readonly (typeof parts)[number][] = parts): readonly string[] {
  const earlier = new EarlierFrames(kept);
  const words = letters.replace('.', '');
  return [...words].map((plainSha256, index) => {
    const endsChunk = letters.endsWith('.') && index === words.length - 1;
    const judged = earlier.judge({ index, plainSize: 100, plainSha256, endsChunk });
    if (judged.action === 'keep') return `keep ${judged.part.number}`;
    if (judged.action === 'start over') return `start over without ${judged.forget.number}`;
    return judged.action === 'encode' && judged.forget
      ? `encode, forget ${judged.forget.number}`
      : judged.action;
  });
}

for (const [what, letters, expected] of [
  ['all is as it was', 'abcdef.', ['pass over', 'pass over', 'keep 1', 'keep 2', 'pass over', 'keep 3']],
  [
    'the first frame of a part differs',
    'abcxef.',
    ['pass over', 'pass over', 'keep 1', 'encode, forget 2', 'pass over', 'keep 3'],
  ],
  ['a later frame differs', 'axc', ['pass over', 'start over without 1', 'encode']],
  ['the last frame of a part differs', 'abx', ['pass over', 'pass over', 'start over without 1']],
  ['the chunk ends within a part', 'ab.', ['pass over', 'start over without 1']],
  ['it ends with a part that was not its last', 'abc.', ['pass over', 'pass over', 'keep 1']],
  [
    'it goes on behind its small last part',
    'abcdef',
    ['pass over', 'pass over', 'keep 1', 'keep 2', 'pass over', 'start over without 3'],
  ],
] as const) {
  test(`${what}: ${letters}`, () => assert.deepEqual(judge(letters), expected));
}

test('what lies in no part is encoded', () => {
  assert.deepEqual(judge('abcdef.', [parts[1]]), [
    'encode',
    'encode',
    'encode',
    'keep 2',
    'encode',
    'encode',
  ]);
  assert.deepEqual(judge('abc.', []), ['encode', 'encode', 'encode']);
});

test('a small part of one frame is no part where the chunk goes on', () => {
  const small = part(1, 0, [10], 'a');
  assert.deepEqual(judge('a.', [small as never]), ['keep 1']);
  assert.deepEqual(judge('ab', [small as never]), ['encode, forget 1', 'encode']);
});

test('parts of a run without a codec are of no use', () => {
  const { first_frame: _, frames: __, ...plain } = parts[0];
  assert.deepEqual(new EarlierFrames([plain]).judge(plainFrame(0, 'a')), { action: 'encode' });
});

test('a frame is that of a completed chunk only in its place, with its size, and when both end there', () => {
  const frames = [frame(1, 'a'), frame(1, 'b')];
  assert.equal(isFrameOf(frames, plainFrame(0, 'a')), true);
  assert.equal(isFrameOf(frames, plainFrame(1, 'b', true)), true);
  for (const other of [
    plainFrame(0, 'b'),
    plainFrame(1, 'b'),
    plainFrame(0, 'a', true),
    plainFrame(2, 'b', true),
    { ...plainFrame(0, 'a'), plainSize: 99 },
  ])
    assert.equal(isFrameOf(frames, other), false);
});

function plainFrame(index: number, plainSha256: string, endsChunk = false): PlainFrame {
  return { index, plainSize: 100, plainSha256, endsChunk };
}
