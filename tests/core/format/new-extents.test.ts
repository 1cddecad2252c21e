import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExtentTally, sentShare } from '../../../lib/core/format/new-extents.ts';

const line = (len: number, start: number, flags: string) =>
  `inode 257 file offset 0 len ${len} disk start ${start} offset 0 gen 7 flags ${flags} name with gen 9 flags`;

function resultOf(...lines: readonly string[]) {
  const tally = new ExtentTally();
  for (const each of lines) tally.add(each);
  return tally.result();
}

test('a compressed extent is as long on disk as up to the next one, and else as compressed as the others', () => {
  const result = resultOf(
    line(1000, 5000, 'COMPRESS'),
    line(1000, 5400, 'COMPRESS'),
    line(1000, 90_000, 'COMPRESS'),
    line(3000, 6000, 'NONE'),
    line(50, 0, 'COMPRESS|INLINE'),
    'transid marker was 12',
  );
  // 400 and 600 of 1000: half.
  assert.deepEqual(result, { bytes: 6050, compressedBytes: 3000, diskBytes: 1500 });
  assert.equal(sentShare(result), (3050 + 1500) / 6050);
});

test('what is not compressed is sent as it is', () => {
  assert.equal(sentShare(resultOf(line(4096, 1, 'NONE'), line(10, 0, 'INLINE'))), 1);
  assert.equal(sentShare(resultOf()), 1);
});

for (const [line, bytes] of [
  ['inode 257 file offset 0 len 3145728 disk start 13631488 offset 0 gen 7 flags NONE f', 3_145_728],
  ['inode 258 file offset 4096 len 12 disk start 0 offset 0 gen 7 flags INLINE some dir/b', 12],
  ['transid marker was 8', 0],
  ['', 0],
  ['x inode 257 file offset 0 len 3145728 disk start', 0],
] as const) {
  test(`find-new reports ${bytes} new bytes in "${line.slice(0, 40)}"`, () => {
    assert.equal(resultOf(line).bytes, bytes);
  });
}
