/** The time of a backup of another program's snapshot: never that of another backup, whatever is left of that one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { parseTimestamp, SubvolumeKeys } from '../../../lib/core/format/names.ts';
import type { AdoptableSnapshot } from '../../../lib/core/plan/backup/adopted-snapshots.ts';
import { adoptedTimestamp } from '../../../lib/stage/backup/backup-time.ts';
import { findPointer } from '../../../lib/stage/bucket/backups.ts';
import { dayStamp, snapshotOfDay } from '../../core/samples.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { publish, put, putChunks } from '../../support/fake-backups.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { bucket } = await startTestBucket(temporaryDirectory('backup-time'));
const { context } = stageContext(bucket);
const later = { ...context, now: () => new Date('2026-02-01T00:00:00Z') };

const madeOn = (day: number): AdoptableSnapshot => ({
  ...snapshotOfDay(day),
  id: 300,
  createdAt: parseTimestamp(dayStamp(day)),
});

async function timeOf(subvolume: string, day: number): Promise<string> {
  return adoptedTimestamp(later, subvolume, madeOn(day), await findPointer(bucket, subvolume));
}

test('without a backup, and after an earlier one, it is the time of the snapshot', async () => {
  assert.equal(await timeOf('first', 3), dayStamp(3));
  await publish(bucket, { subvolume: 'first', day: 2 });
  assert.equal(await timeOf('first', 3), dayStamp(3));
});

test('two snapshots of one second have two times, and so has one that is sent again', async () => {
  await publish(bucket, { subvolume: 'second', day: 3 });
  assert.equal(await timeOf('second', 3), '20260103T020001Z');
  assert.equal(
    await timeOf('second', 2),
    '20260103T020001Z',
    'later than the last backup, though it is older',
  );
});

test('a time under which something was left is not taken again, be it chunks or a manifest, of either kind', async () => {
  await putChunks(bucket, { subvolume: 'left', day: 3 });
  const keys = new SubvolumeKeys(bucket.prefix, 'left');
  await put(bucket, keys.chunk('incremental', '20260103T020001Z', 0), 'x');
  assert.equal(await timeOf('left', 3), '20260103T020002Z');
  assert.equal(await timeOf('left', 4), dayStamp(4));
  await put(bucket, keys.manifest('incremental', dayStamp(4)), '{}');
  assert.equal(await timeOf('left', 4), '20260104T020001Z');
});

test('where the pointer is damaged or missing, it is later than every manifest', async () => {
  for (const [subvolume, pointer] of [
    ['damaged', '{'],
    ['missing', undefined],
  ] as const) {
    const keys = new SubvolumeKeys(bucket.prefix, subvolume);
    await put(bucket, keys.manifest('full', dayStamp(5)), '{}');
    if (pointer !== undefined) await put(bucket, keys.current, pointer);
    assert.equal(await timeOf(subvolume, 3), '20260105T020001Z');
  }
});

test('a damaged pointer does not hide that the clock is behind', async () => {
  const keys = new SubvolumeKeys(bucket.prefix, 'hidden');
  await put(bucket, keys.manifest('full', '20300101T000000Z'), '{}');
  await put(bucket, keys.current, '{');
  await assert.rejects(timeOf('hidden', 3), /the last backup of hidden is of 2030-01-01T00:00:00Z/);
});

test('where the pointer was moved away after a clock that was ahead, the backups dated in the future do not count', async () => {
  const keys = new SubvolumeKeys(bucket.prefix, 'ahead');
  await put(bucket, keys.manifest('full', dayStamp(2)), '{}');
  await put(bucket, keys.manifest('full', '20300101T000000Z'), '{}');
  assert.equal(await timeOf('ahead', 3), dayStamp(3));
  assert.equal(await timeOf('ahead', 1), '20260102T020001Z');
});

test('a clock that is behind the last backup is reported', async () => {
  await publish(bucket, { subvolume: 'clock', day: 3 });
  const pointer = await findPointer(bucket, 'clock');
  await assert.rejects(adoptedTimestamp(context, 'clock', madeOn(4), pointer), (error: ToolError) => {
    assert.match(
      error.message,
      /^the clock says 1970-\S+, but the last backup of clock is of 2026-01-03T02:00:00Z$/,
    );
    return true;
  });
});
