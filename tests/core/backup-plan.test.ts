import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planBackup } from '../../lib/core/backup-plan.ts';
import { keyOfDay, manifestOfDay, snapshotOfDay, sourceUuid, uuidOf } from './samples.ts';

const source = { uuid: sourceUuid, parentUuid: undefined, hostName: manifestOfDay(2).host ?? 'host' };
const published = { manifestKey: keyOfDay(2), manifest: manifestOfDay(2) };
const withoutUuid = {
  manifestKey: keyOfDay(2),
  manifest: { ...manifestOfDay(2), snapshot: { ...manifestOfDay(2).snapshot, uuid: null } },
};
const here = [snapshotOfDay(1), snapshotOfDay(2)];
const writable = [{ ...snapshotOfDay(2), readOnly: false }];
const strangers = [{ ...snapshotOfDay(2), parentUuid: uuidOf(98) }];
const parentName = 'data__20260102T020000Z__inc';

const reasons = {
  nothing: 'there is no backup in the bucket yet',
  noUuid: `the last backup does not record the UUID of its snapshot ${parentName}`,
  gone: `parent snapshot ${parentName} is gone`,
  writable: `parent snapshot ${parentName} is no longer read-only`,
  stranger: `the subvolume is not the one of parent snapshot ${parentName}`,
};

for (const [situation, bucket, snapshots, reason] of [
  ['nothing is published', undefined, here, reasons.nothing],
  ['the last backup has no UUID', withoutUuid, here, reasons.noUuid],
  ['there are no snapshots here', published, [], reasons.gone],
  ['only other snapshots are here', published, [snapshotOfDay(1), snapshotOfDay(3)], reasons.gone],
  ['the parent was made writable', published, writable, reasons.writable],
  ['the parent is of another subvolume', published, strangers, reasons.stranger],
  ['the last backup is damaged', { unreadable: 'it is damaged' }, here, 'it is damaged'],
] as const) {
  test(`auto is full when ${situation}, and says so`, () => {
    assert.deepEqual(planBackup('auto', source, bucket, snapshots), {
      kind: 'full',
      parent: undefined,
      reason,
    });
  });
  test(`incremental is impossible when ${situation}, and says so`, () => {
    const plan = planBackup('incremental', source, bucket, snapshots);
    const why = 'impossible' in plan ? plan.impossible : 'it is possible';
    assert.equal(why.slice(0, reason.length), reason);
  });
}

for (const requested of ['auto', 'incremental'] as const) {
  test(`${requested} is incremental on the last published backup when its snapshot is here`, () => {
    assert.deepEqual(planBackup(requested, source, published, here), {
      kind: 'incremental',
      parent: { ...snapshotOfDay(2), manifestKey: keyOfDay(2) },
      reason: 'on the incremental of 2026-01-02T02:00:00Z',
    });
  });
}

test('the parent is found by UUID, whatever its path is called', () => {
  const moved = { ...snapshotOfDay(2), path: '/elsewhere/renamed' };
  const plan = planBackup('auto', source, published, [snapshotOfDay(1), moved]);
  assert.equal('parent' in plan && plan.parent?.path, '/elsewhere/renamed');
});

test('a snapshot of the same path with another UUID is not the parent', () => {
  const impostor = { ...snapshotOfDay(3), path: snapshotOfDay(2).path };
  assert.equal('kind' in planBackup('auto', source, published, [impostor]) && 'full', 'full');
  assert.deepEqual(planBackup('incremental', source, published, [impostor]), { impossible: reasons.gone });
});

test('full is full even when the parent is here', () => {
  const expected = { kind: 'full', parent: undefined, reason: 'asked for with KIND=full' };
  assert.deepEqual(planBackup('full', source, published, here), expected);
  assert.deepEqual(planBackup('full', source, undefined, []), expected);
});

test('a subvolume that was rolled back to the parent snapshot goes on incrementally', () => {
  const rolledBack = { ...source, uuid: uuidOf(97), parentUuid: uuidOf(2) };
  const plan = planBackup('auto', rolledBack, published, here);
  assert.equal('kind' in plan && plan.kind, 'incremental');
});

test('what was received goes on incrementally on what it was received onto, and on nothing that it is not made from', () => {
  const kindOf = (uuid: string | undefined) => {
    const plan = planBackup('auto', { ...source, uuid }, published, [
      { ...snapshotOfDay(2), parentUuid: undefined },
    ]);
    return 'kind' in plan && plan.kind;
  };
  assert.equal(kindOf(uuidOf(2)), 'incremental');
  assert.equal(kindOf(uuidOf(1)), 'full');
  assert.equal(kindOf(undefined), 'full', 'two without a parent have nothing in common');
});

test('a parent of another program is called by its path: its name may be that of all', () => {
  const path = '/home/.snapshots/7/snapshot';
  const manifest = {
    ...manifestOfDay(2),
    snapshot: { ...manifestOfDay(2).snapshot, name: 'snapshot', path },
  };
  const plan = planBackup('auto', source, { ...published, manifest }, []);
  assert.equal('reason' in plan && plan.reason, `parent snapshot ${path} is gone`);
});

test('a prefix that another host uses is not taken over, unless that is asked for with KIND=full', () => {
  const other = { ...source, hostName: 'other-host' };
  const plan = planBackup('auto', other, published, []);
  assert.match('impossible' in plan ? plan.impossible : '', /is of host .*give each host its own S3_PREFIX/);
  assert.equal('kind' in planBackup('full', other, published, []), true);
  const renamed = planBackup('auto', other, published, here);
  assert.equal('kind' in renamed && renamed.kind, 'incremental', 'a host that was renamed has its snapshots');
});
