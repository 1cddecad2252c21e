import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LocalSnapshot, planBackup } from '../../../lib/core/plan/backup-plan.ts';
import { chainOfDays, keyOfDay, manifestOfDay, snapshotOfDay, sourceUuid, uuidOf } from '../samples.ts';

const source = { uuid: sourceUuid, parentUuid: undefined };
const chain = { full: manifestOfDay(1), streamUuids: [uuidOf(1), uuidOf(2)], members: chainOfDays(2) };
/** Of the snapshot of day 2, as it was when it was backed up. */
const state = { uuid: uuidOf(2), transid: 102 };
const published = { manifestKey: keyOfDay(2), manifest: manifestOfDay(2), chain };
const withoutUuid = {
  ...published,
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
    assert.deepEqual(planBackup('auto', source, bucket, snapshots, state), {
      kind: 'full',
      parent: undefined,
      reason,
    });
  });
  test(`incremental is impossible when ${situation}, and says so`, () => {
    const plan = planBackup('incremental', source, bucket, snapshots, state);
    const why = 'impossible' in plan ? plan.impossible : 'it is possible';
    assert.equal(why.slice(0, reason.length), reason);
  });
}

for (const requested of ['auto', 'incremental'] as const) {
  test(`${requested} is incremental on the last published backup when its snapshot is here`, () => {
    assert.deepEqual(planBackup(requested, source, published, here, state), {
      kind: 'incremental',
      parent: { ...snapshotOfDay(2), manifestKey: keyOfDay(2), state },
      reason: 'on the incremental of 2026-01-02T02:00:00Z',
    });
  });
}

test('the parent is found by UUID, whatever its path is called', () => {
  const moved = { ...snapshotOfDay(2), path: '/elsewhere/renamed' };
  const plan = planBackup('auto', source, published, [snapshotOfDay(1), moved], state);
  assert.equal('parent' in plan && plan.parent?.path, '/elsewhere/renamed');
});

test('a snapshot of the same path with another UUID is not the parent', () => {
  const impostor = { ...snapshotOfDay(3), path: snapshotOfDay(2).path };
  assert.equal('kind' in planBackup('auto', source, published, [impostor], state) && 'full', 'full');
  assert.deepEqual(planBackup('incremental', source, published, [impostor], state), {
    impossible: reasons.gone,
  });
});

test('full is full even when the parent is here', () => {
  const expected = { kind: 'full', parent: undefined, reason: 'asked for with KIND=full' };
  assert.deepEqual(planBackup('full', source, published, here, state), expected);
  assert.deepEqual(planBackup('full', source, undefined, [], state), expected);
});

test('a subvolume that was rolled back to the parent snapshot goes on incrementally', () => {
  const rolledBack = { ...source, uuid: uuidOf(97), parentUuid: uuidOf(2) };
  const plan = planBackup('auto', rolledBack, published, here, state);
  assert.equal('kind' in plan && plan.kind, 'incremental');
});

test('what was received goes on incrementally on what it was received onto, and on nothing that it is not made from', () => {
  const kindOf = (uuid: string | undefined) => {
    const plan = planBackup(
      'auto',
      { ...source, uuid },
      published,
      [{ ...snapshotOfDay(2), parentUuid: undefined }],
      state,
    );
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
  const plan = planBackup('auto', source, { ...published, manifest }, [], state);
  assert.equal('reason' in plan && plan.reason, `parent snapshot ${path} is gone`);
});

const recorded = (transid: number, of: Partial<LocalSnapshot> = {}) => {
  const manifest = manifestOfDay(2);
  const snapshots = [{ ...snapshotOfDay(2), ...of }];
  const last = { ...published, manifest: { ...manifest, snapshot: { ...manifest.snapshot, transid } } };
  return planBackup('auto', source, last, snapshots, state);
};
const whyFull = (plan: ReturnType<typeof planBackup>) =>
  'kind' in plan && plan.kind === 'full' ? plan.reason : '';

test('a parent that was changed after it was backed up is none', () => {
  assert.equal(whyFull(recorded(102)), '');
  assert.match(whyFull(recorded(101)), /was changed after it was backed up$/);
  const balanced = recorded(102, { generation: 900 });
  assert.equal('kind' in balanced && balanced.kind, 'incremental', 'balance moves the generation alone');
});

test('an older manifest without a state takes a parent that was not changed since it was made', () => {
  const withParent = (of: Partial<LocalSnapshot>) =>
    planBackup('auto', source, published, [{ ...snapshotOfDay(2), ...of }], state);
  assert.equal(whyFull(withParent({})), '', 'the generation is the same');
  assert.equal(
    whyFull(withParent({ generation: 900, settledTransid: 102 })),
    '',
    'changed up to when it was made',
  );
  assert.match(whyFull(withParent({ generation: 900, settledTransid: 101 })), /may have been changed/);
  assert.match(whyFull(withParent({ generation: 900, settledTransid: undefined })), /may have been changed/);
});

test('a parent that btrfs send knows by another UUID than before is none', () => {
  const plan = planBackup('auto', source, published, here, { ...state, uuid: uuidOf(50) });
  assert.match(whyFull(plan), /is known to btrfs send by another UUID/);
});

test('a snapshot with the UUID of one that its chain holds is sent in full', () => {
  const next = { ...source, nextStreamUuid: uuidOf(1) };
  assert.match(whyFull(planBackup('auto', next, published, here, state)), /has the received UUID of one/);
});

test('nothing builds on a chain that cannot be restored', () => {
  const broken = { ...published, chain: { problem: 'chunk 0 is missing' } };
  assert.equal(
    whyFull(planBackup('auto', source, broken, here, state)),
    'the last backup cannot be restored',
  );
  assert.ok('impossible' in planBackup('incremental', source, broken, here, state), 'refused');
});

const copy = { ...snapshotOfDay(2), uuid: uuidOf(60), parentUuid: uuidOf(61), receivedUuid: uuidOf(2) };
const restored = { ...source, uuid: uuidOf(62), parentUuid: copy.uuid };

test('what was restored goes on incrementally on the copy that it was made of', () => {
  assert.deepEqual(planBackup('auto', restored, published, [copy], state), {
    kind: 'incremental',
    parent: { ...copy, manifestKey: keyOfDay(2), state, continued: true },
    reason: `on the incremental of 2026-01-02T02:00:00Z, as it was restored to ${copy.path}`,
  });
  const beside = planBackup('auto', restored, published, [snapshotOfDay(2), copy], state);
  assert.equal('parent' in beside && beside.parent?.uuid, copy.uuid, 'the snapshot itself is of other data');
  const source2 = planBackup('auto', source, published, [copy, snapshotOfDay(2)], state);
  assert.equal('parent' in source2 && source2.parent?.uuid, uuidOf(2), 'the old data go on with their own');
});

test('a copy that is not what was backed up is no parent, nor one of other data', () => {
  const plan = planBackup('auto', restored, published, [copy], state, 'was changed after it was received');
  assert.match(whyFull(plan), /^parent snapshot data__\S+ was changed after it was received$/);
  assert.match(whyFull(planBackup('auto', source, published, [copy], state)), /subvolume is not the one/);
});
