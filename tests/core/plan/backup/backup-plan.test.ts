import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Candidate,
  type LocalSnapshot,
  planBackup,
  withoutParent,
} from '../../../../lib/core/plan/backup/backup-plan.ts';
import type { Relation } from '../../../../lib/core/plan/backup/lineage.ts';
import { chainOfDays, keyOfDay, manifestOfDay, snapshotOfDay, sourceUuid, uuidOf } from '../../samples.ts';

const source = { uuid: sourceUuid };
const chain = { full: manifestOfDay(1), streamUuids: [uuidOf(1), uuidOf(2)], members: chainOfDays(2) };
/** Of the snapshot of day 2, as it was when it was backed up. */
const state = { uuid: uuidOf(2), transid: 102 };
const published = { manifestKey: keyOfDay(2), manifest: manifestOfDay(2), chain };
const withoutUuid = {
  ...published,
  manifest: { ...manifestOfDay(2), snapshot: { ...manifestOfDay(2).snapshot, uuid: null } },
};
const proven: Relation = { is: 'proven', isRollback: false, between: [] };
const with2 = (of: Partial<LocalSnapshot> = {}, relation: Relation | undefined = proven): Candidate => ({
  snapshot: { ...snapshotOfDay(2), ...of },
  state,
  relation,
});
const here = with2();
const writable = with2({ readOnly: false });
const strangers = with2({}, { ...proven, is: 'none' });
const parentName = 'data__20260102T020000Z__inc';

const reasons = {
  nothing: 'there is no backup in the bucket yet',
  noUuid: `the last backup does not record the UUID of its snapshot ${parentName}`,
  gone: `parent snapshot ${parentName} is gone`,
  writable: `parent snapshot ${parentName} is no longer read-only`,
  stranger: `the subvolume is not the one of parent snapshot ${parentName}: it was made anew, or received in full`,
  unread: `the state of parent snapshot ${parentName} cannot be read`,
};

for (const [situation, bucket, candidate, reason] of [
  ['nothing is published', undefined, here, reasons.nothing],
  ['the last backup has no UUID', withoutUuid, here, reasons.noUuid],
  ['its snapshot is gone', published, undefined, reasons.gone],
  ['the state of its snapshot cannot be read', published, { ...here, state: undefined }, reasons.unread],
  ['the parent was made writable', published, writable, reasons.writable],
  ['the parent is of another subvolume', published, strangers, reasons.stranger],
  ['the last backup is damaged', { unreadable: 'it is damaged' }, here, 'it is damaged'],
] as const) {
  test(`auto is full when ${situation}, and says so`, () => {
    assert.deepEqual(planBackup('auto', source, bucket, candidate), {
      kind: 'full',
      parent: undefined,
      reason,
    });
  });
  test(`incremental is impossible when ${situation}, and says so`, () => {
    const plan = planBackup('incremental', source, bucket, candidate);
    const why = 'impossible' in plan ? plan.impossible : 'it is possible';
    assert.equal(why.slice(0, reason.length), reason);
  });
}

for (const requested of ['auto', 'incremental'] as const) {
  test(`${requested} is incremental on the last published backup when its snapshot is here`, () => {
    assert.deepEqual(planBackup(requested, source, published, here), {
      kind: 'incremental',
      parent: { ...snapshotOfDay(2), manifestKey: keyOfDay(2), state, isProven: true },
      reason: 'on the incremental of 2026-01-02T02:00:00Z',
    });
  });
}

test('full is full even when the parent is here', () => {
  const expected = { kind: 'full', parent: undefined, reason: 'asked for with KIND=full' };
  assert.deepEqual(planBackup('full', source, published, here), expected);
  assert.deepEqual(planBackup('full', source, undefined, undefined), expected);
});

test('a subvolume that was rolled back goes on incrementally, and the plan says so', () => {
  const plan = planBackup('auto', source, published, with2({}, { ...proven, isRollback: true }));
  assert.equal(
    'reason' in plan && plan.reason,
    'on the incremental of 2026-01-02T02:00:00Z, across a rollback',
  );
});

test('what is not proven is incremental until its inodes say otherwise, which is a full one, or impossible', () => {
  const plan = planBackup('auto', source, published, with2({}, { ...proven, is: 'unproven' }));
  assert.equal('parent' in plan && plan.parent?.isProven, false);
  const instead = `no increment on parent snapshot ${parentName} would be right: why`;
  assert.deepEqual(withoutParent('auto', published, 'why'), {
    kind: 'full',
    parent: undefined,
    reason: instead,
  });
  assert.deepEqual(withoutParent('incremental', published, 'why'), { impossible: instead });
});

test('a parent of another program is called by its path: its name may be that of all', () => {
  const path = '/home/.snapshots/7/snapshot';
  const manifest = {
    ...manifestOfDay(2),
    snapshot: { ...manifestOfDay(2).snapshot, name: 'snapshot', path },
  };
  const plan = planBackup('auto', source, { ...published, manifest }, undefined);
  assert.equal('reason' in plan && plan.reason, `parent snapshot ${path} is gone`);
});

const recorded = (transid: number, of: Partial<LocalSnapshot> = {}) => {
  const manifest = manifestOfDay(2);
  const last = { ...published, manifest: { ...manifest, snapshot: { ...manifest.snapshot, transid } } };
  return planBackup('auto', source, last, with2(of));
};
const whyFull = (plan: ReturnType<typeof planBackup>) =>
  'kind' in plan && plan.kind === 'full' ? plan.reason : '';

test('a parent that was changed after it was backed up is none', () => {
  assert.equal(whyFull(recorded(102)), '');
  assert.match(
    whyFull(recorded(101)),
    /was changed after it was backed up, by hand or by deduplication; .*bees/,
  );
  const balanced = recorded(102, { generation: 900 });
  assert.equal('kind' in balanced && balanced.kind, 'incremental', 'balance moves the generation alone');
});

test('an older manifest without a state takes a parent that was not changed since it was made', () => {
  const withParent = (of: Partial<LocalSnapshot>) => planBackup('auto', source, published, with2(of));
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
  const plan = planBackup('auto', source, published, { ...here, state: { ...state, uuid: uuidOf(50) } });
  assert.match(whyFull(plan), /is known to btrfs send by another UUID/);
});

test('a snapshot with the UUID of one that its chain holds is sent in full', () => {
  const next = { ...source, nextStreamUuid: uuidOf(1) };
  assert.match(whyFull(planBackup('auto', next, published, here)), /has the received UUID of one/);
});

test('nothing builds on a chain that cannot be restored', () => {
  const broken = { ...published, chain: { problem: 'chunk 0 is missing' } };
  assert.equal(whyFull(planBackup('auto', source, broken, here)), 'the last backup cannot be restored');
  assert.ok('impossible' in planBackup('incremental', source, broken, here), 'refused');
});

const copy = { ...snapshotOfDay(2), uuid: uuidOf(60), parentUuid: uuidOf(61), receivedUuid: uuidOf(2) };

test('what was restored goes on incrementally on the copy that it was made of', () => {
  const candidate = { snapshot: copy, state, relation: proven, copy: { problem: undefined } };
  assert.deepEqual(planBackup('auto', source, published, candidate), {
    kind: 'incremental',
    parent: { ...copy, manifestKey: keyOfDay(2), state, isProven: true, continued: true },
    reason: `on the incremental of 2026-01-02T02:00:00Z, as it was restored to ${copy.path}`,
  });
});

test('a copy that is not what was backed up is no parent', () => {
  const problem = 'was changed after it was received';
  const plan = planBackup('auto', source, published, {
    snapshot: copy,
    state,
    relation: proven,
    copy: { problem },
  });
  assert.match(whyFull(plan), /^parent snapshot data__\S+ was changed after it was received$/);
});
