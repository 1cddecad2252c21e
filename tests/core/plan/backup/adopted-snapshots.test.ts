import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseTimestamp } from '../../../../lib/core/format/names.ts';
import {
  type AdoptableSnapshot,
  earliestBackupTime,
  newestSnapshot,
  nothingNew,
} from '../../../../lib/core/plan/backup/adopted-snapshots.ts';
import { dayStamp, keyOfDay, manifestOfDay, snapshotOfDay } from '../../samples.ts';

const published = (day: number) => ({
  manifestKey: keyOfDay(day),
  manifest: manifestOfDay(day),
  chain: { full: manifestOfDay(1), streamUuids: [], members: [] },
});

/** The snapshot of a day; made at the time under which it is published, unless that is said otherwise. */
function adoptable(
  day: number,
  createdAt: Date | undefined = parseTimestamp(dayStamp(day)),
): AdoptableSnapshot {
  return { ...snapshotOfDay(day), id: 300 + day, createdAt };
}

/** Snapshots of a few seconds, so that several fall into one. */
const snapshots = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 256, max: 300 }),
    second: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    readOnly: fc.boolean(),
  }),
  { selector: ({ id }) => id, maxLength: 12 },
);

test('the newest is read-only, and none that is read-only was made later, or in the same second after it', () => {
  fc.assert(
    fc.property(snapshots, (made) => {
      const all = made.map(({ id, second, readOnly }) => ({
        ...adoptable(1, undefined),
        createdAt: second === undefined ? undefined : new Date(second * 1000),
        path: `/s/${300 - id}`,
        id,
        readOnly,
      }));
      const newest = newestSnapshot(all);
      const candidates = all.filter(({ readOnly }) => readOnly);
      assert.equal(newest !== undefined, candidates.length > 0);
      for (const other of candidates.filter(({ id }) => id !== newest?.id)) {
        const [at, otherAt] = [newest?.createdAt?.getTime() ?? 0, other.createdAt?.getTime() ?? 0];
        assert.equal(otherAt < at || (otherAt === at && other.id < (newest?.id ?? 0)), true);
      }
    }),
  );
});

test('the newest is the one made last, not the one whose name or number is highest', () => {
  const older = { ...adoptable(1), path: '/s/9/snapshot', id: 900 };
  const newer = { ...adoptable(2), path: '/s/10/snapshot', id: 260 };
  assert.equal(newestSnapshot([newer, older]), newer);
  assert.equal(newestSnapshot([]), undefined);
});

test('nothing is new when the newest is the last backup, whatever it is published as', () => {
  const reason = nothingNew(adoptable(2), [adoptable(1), adoptable(2)], published(2));
  assert.match(reason ?? '', /^the newest snapshot \S+ of 2026-01-02T02:00:00Z is the last backup already$/);
  assert.match(nothingNew(adoptable(2), [], published(2)) ?? '', /already$/);
});

test('nothing is new when only older ones than the last backup are left', () => {
  const reason = nothingNew(adoptable(2), [adoptable(1), adoptable(2)], published(3));
  assert.match(reason ?? '', /is older than the last backup, of 2026-01-03T02:00:00Z$/);
});

test('nothing is new when the last backup has been made writable, and only older ones are read-only', () => {
  const madeWritable = { ...adoptable(3), readOnly: false };
  const reason = nothingNew(adoptable(2), [adoptable(2), madeWritable], published(3));
  assert.match(reason ?? '', /is older than the last backup/);
});

for (const [situation, newest, here, last] of [
  ['nothing is published', 2, [2], undefined],
  ['the last backup cannot be read', 2, [2], { unreadable: 'it is damaged' }],
  ['the newest was made later', 3, [2, 3], published(2)],
  ['it was made later and the last is gone', 3, [3], published(2)],
] as const) {
  test(`there is something to do when ${situation}`, () => {
    const snapshotsHere = here.map((day) => adoptable(day));
    assert.equal(nothingNew(adoptable(newest), snapshotsHere, last), undefined);
  });
}

test('a second snapshot of the second of the last backup is new, although that was published under a later time', () => {
  const second = { ...adoptable(4, parseTimestamp(dayStamp(1))), id: 999 };
  assert.equal(nothingNew(second, [adoptable(2), second], published(2)), undefined);
});

test('a backup has the time of its snapshot, unless that is not later than the last', () => {
  const last = parseTimestamp(dayStamp(2));
  assert.ok(last, 'a time');
  assert.deepEqual(earliestBackupTime(adoptable(3), last), parseTimestamp(dayStamp(3)));
  assert.deepEqual(earliestBackupTime(adoptable(3), undefined), parseTimestamp(dayStamp(3)));
  for (const day of [1, 2]) {
    assert.deepEqual(earliestBackupTime(adoptable(day), last), new Date(last.getTime() + 1000));
  }
});
