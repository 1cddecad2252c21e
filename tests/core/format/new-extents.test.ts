import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExtentTally, MAX_HELD_EXTENTS, sentShare } from '../../../lib/core/format/new-extents.ts';

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
  assert.deepEqual(result, { bytes: 6050, compressedBytes: 3050, diskBytes: 1525 });
  assert.equal(sentShare(result), (3000 + 1525) / 6050);
});

test('what is not compressed is sent as it is', () => {
  assert.equal(sentShare(resultOf(line(4096, 1, 'NONE'), line(10, 0, 'INLINE'))), 1);
  assert.equal(sentShare(resultOf()), 1);
});

test('of many extents some stretches of the disk stand for all, and no more are held than fit', () => {
  const tally = new ExtentTally();
  const count = 5 * MAX_HELD_EXTENTS;
  let most = 0;
  let [place, disk] = [2 ** 40, 0];
  for (let index = 0; index < count; index++) {
    tally.add(line(131_072, place, 'COMPRESS'));
    const length = 4096 * (1 + (index % 20));
    place += length;
    disk += length;
    most = Math.max(most, tally.heldExtents);
  }
  const { bytes, compressedBytes, diskBytes } = tally.result();
  assert.deepEqual([bytes, compressedBytes], [count * 131_072, count * 131_072]);
  assert.ok(most <= MAX_HELD_EXTENTS + 1 && tally.heldExtents > MAX_HELD_EXTENTS / 8);
  assert.ok(Math.abs(diskBytes / disk - 1) < 0.02, `${diskBytes} instead of ${disk}`);
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
