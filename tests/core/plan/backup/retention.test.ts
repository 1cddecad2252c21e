import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSnapshotName, snapshotName } from '../../../../lib/core/format/names.ts';
import { isAwaited, ownAmong, snapshotsToThin } from '../../../../lib/core/plan/backup/retention.ts';
import { dayStamp, uuidOf } from '../../samples.ts';

const nameOfDay = (day: number) =>
  snapshotName('data', dayStamp(day), day % 5 === 1 ? 'full' : 'incremental');
const foreign = [
  'data',
  'data-old',
  'data__2__20260101T020000Z__full',
  'home__20260101T020000Z__full',
  '.cache',
];

/** Our snapshots of some days among foreign names, in any order; one of ours is the next parent. */
const scene = fc
  .record({
    days: fc.uniqueArray(fc.integer({ min: 1, max: 31 }), { minLength: 1, maxLength: 31 }),
    others: fc.subarray(foreign),
    keep: fc.integer({ min: 1, max: 12 }),
    parentAt: fc.nat(),
  })
  .chain(({ days, others, keep, parentAt }) => {
    const ours = days.map(nameOfDay);
    return fc.record({
      names: fc.shuffledSubarray([...ours, ...others], { minLength: ours.length + others.length }),
      ours: fc.constant(ours),
      keep: fc.constant(keep),
      nextParent: fc.constant(ours[parentAt % ours.length] ?? ''),
    });
  });

test('exactly KEEP_SNAPSHOTS stay, the newest and the next parent, and foreign names are left alone', () => {
  fc.assert(
    fc.property(scene, ({ names, ours, keep, nextParent }) => {
      const gone = snapshotsToThin('data', names, keep, nextParent);
      const kept = ours.filter((name) => !gone.includes(name));
      assert.equal(gone.includes(nextParent), false);
      assert.deepEqual(
        gone.filter((name) => !ours.includes(name)),
        [],
      );
      assert.equal(kept.length, Math.min(keep, ours.length));
      assert.equal(new Set(gone).size, gone.length);
      const timeOf = (name: string) => parseSnapshotName('data', name)?.timestamp ?? '';
      const newestGone = timeOf(gone.at(-1) ?? '');
      const olderKept = kept.filter((name) => timeOf(name) <= newestGone && name !== nextParent);
      assert.deepEqual(olderKept, []);
    }),
  );
});

test('the oldest go first, whatever order they are listed in', () => {
  const names = [3, 1, 5, 2, 4].map(nameOfDay);
  assert.deepEqual(snapshotsToThin('data', names, 2, nameOfDay(5)), [1, 2, 3].map(nameOfDay));
});

test('the next parent stays however old it is', () => {
  const names = [1, 2, 3, 4].map(nameOfDay);
  assert.deepEqual(snapshotsToThin('data', names, 2, nameOfDay(1)), [2, 3].map(nameOfDay));
  assert.deepEqual(snapshotsToThin('data', names, 1, nameOfDay(1)), [2, 3, 4].map(nameOfDay));
});

test('a next parent that is not here takes no place away from the others', () => {
  const names = [1, 2, 3].map(nameOfDay);
  assert.deepEqual(snapshotsToThin('data', names, 2, nameOfDay(9)), [nameOfDay(1)]);
  assert.deepEqual(snapshotsToThin('data', [nameOfDay(1)], 1, 'something else'), []);
});

test("ours are those that were taken from here or published where we publish; foreign names are no one's", () => {
  const snapshots = [1, 2, 3].map((day) => ({ name: nameOfDay(day), uuid: `uuid-${day}` }));
  const strangers = foreign.map((name) => ({ name, uuid: 'uuid-1' }));
  const isPublished = (kind: string, timestamp: string) =>
    kind === 'incremental' && timestamp === dayStamp(2);
  const { own, others } = ownAmong('data', [...snapshots, ...strangers], new Set(['uuid-1']), isPublished);
  assert.deepEqual(own, snapshots.slice(0, 2));
  assert.deepEqual(others, snapshots.slice(2));
});

const copy = { uuid: uuidOf(1), parentUuid: uuidOf(9), receivedUuid: uuidOf(50) };
const restored = { uuid: uuidOf(2), parentUuid: copy.uuid };
const backedUp = { uuid: uuidOf(3), parentUuid: restored.uuid };

test('a received snapshot waits for the first backup of what was made of it', () => {
  assert.equal(isAwaited(copy, [copy], [copy, restored]), true);
  assert.equal(isAwaited(copy, [copy, backedUp], [copy, restored, backedUp]), false);
});

test('a received snapshot of which nothing was made, or only another snapshot, does not wait', () => {
  assert.equal(isAwaited(copy, [copy], [copy]), false);
  const snapshot = { uuid: uuidOf(4), parentUuid: copy.uuid };
  assert.equal(isAwaited(copy, [copy, snapshot], [copy, snapshot]), false);
});

test('what was taken here never waits', () => {
  const own = { ...copy, receivedUuid: undefined };
  assert.equal(isAwaited(own, [own], [own, restored]), false);
});
