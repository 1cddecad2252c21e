import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyProblem } from '../../../../lib/core/plan/backup/received-copy.ts';
import { manifestOfDay, snapshotOfDay, uuidOf } from '../../samples.ts';

const manifest = { ...manifestOfDay(2), snapshot: { ...manifestOfDay(2).snapshot, transid: 102 } };
const copy = { ...snapshotOfDay(2), uuid: uuidOf(60), receivedUuid: uuidOf(2), sentTransid: 102 };
const state = { uuid: uuidOf(2), transid: 7 };
const problemOf = (...args: Parameters<typeof copyProblem>) => {
  const found = copyProblem(...args);
  return typeof found === 'object' ? found.problem : found;
};

test('a copy that a restore wrote down is what it was then, or changed', () => {
  assert.equal(problemOf(manifest, copy, state, { recordedTransid: 7 }), undefined);
  assert.match(
    problemOf(manifest, copy, state, { recordedTransid: 6 }) ?? '',
    /was changed after it was restored, by hand or by deduplication; .*bees/,
  );
});

test('of one that no one wrote down the stream has to be the one that was backed up, and its files show the rest', () => {
  const unknown = { recordedTransid: undefined };
  assert.equal(problemOf(manifest, copy, state, unknown), 'look');
  assert.match(
    problemOf(manifest, { ...copy, sentTransid: 101 }, state, unknown) ?? '',
    /of another state than was backed up/,
  );
  assert.match(problemOf(manifestOfDay(2), copy, state, unknown) ?? '', /does not record of which state/);
});

test('one that btrfs send calls otherwise is none', () => {
  const other = { uuid: uuidOf(3), transid: 7 };
  assert.match(problemOf(manifest, copy, other, { recordedTransid: 7 }) ?? '', /by another UUID/);
});
