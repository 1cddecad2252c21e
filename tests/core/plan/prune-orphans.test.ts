/** What a prune plans for chunks and uploads that no manifest names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PrunePlan } from '../../../lib/core/plan/prune/prune-plan.ts';
import { keyOf, object, plan, threeGenerations } from '../prune-scenes.ts';
import { dayStamp, keys } from '../samples.ts';

const orphan = (day: number, index = 0) => keys.chunk('incremental', dayStamp(day), index);
const deadRun = keys.manifest('incremental', dayStamp(15));
const actions = ({ orphans }: PrunePlan) => orphans.map(({ action, reason }) => [action, reason]);

test('orphans older than 7 days go; younger ones stay, and it is said until when', () => {
  assert.deepEqual(actions(plan({ more: [object(orphan(15), 15)] })), [
    ['remove', 'named by no manifest, older than 7 days'],
  ]);
  assert.deepEqual(actions(plan({ more: [object(orphan(15), 28)] })), [
    ['keep', 'named by no manifest, younger than 7 days until 2026-02-04T02:00Z'],
  ]);
});

test('an orphan that goes is charged for until its storage class lets it go; one that stays is not', () => {
  const inDeepArchive = { ...object(orphan(15), 15), storageClass: 'DEEP_ARCHIVE' };
  const [gone] = plan({ more: [inDeepArchive] }).orphans;
  assert.equal(gone?.action, 'remove');
  assert.equal(gone?.charge?.daysLeft, 164);
  const [kept] = plan({ more: [{ ...object(orphan(15), 28), storageClass: 'DEEP_ARCHIVE' }] }).orphans;
  assert.deepEqual([kept?.action, kept?.charge], ['keep', undefined]);
});

test('a run that still stores chunks keeps its old ones; so does an upload of it', () => {
  assert.deepEqual(
    actions(plan({ more: [object(orphan(15), 15), object(orphan(15, 1), 31)] })).map(([action]) => action),
    ['keep'],
  );
  const upload = { key: orphan(15, 1), uploadId: 'u', initiatedAt: new Date('2026-01-31T00:00:00Z') };
  assert.equal(actions(plan({ more: [object(orphan(15), 15)], uploads: [upload] }))[0]?.[0], 'keep');
});

test('exactly 7 days are not yet older than 7 days; an unknown age is young', () => {
  const at = (modifiedAt: Date | undefined) =>
    actions(plan({ more: [{ ...object(orphan(15), 1), modifiedAt }] }))[0]?.[0];
  assert.equal(at(new Date('2026-01-25T00:00:00Z')), 'keep');
  assert.equal(at(new Date('2026-01-24T23:59:59Z')), 'remove');
  assert.equal(at(undefined), 'keep');
});

test('what this host will resume stays, whatever its age; with unreadable run files everything does', () => {
  const more = [object(orphan(15), 1)];
  assert.deepEqual(actions(plan({ more, begun: { manifestKeys: [deadRun], parentKey: undefined } })), [
    ['keep', 'this host will resume it'],
  ]);
  const unknown = { manifestKeys: [], parentKey: undefined, unknown: 'x cannot be understood' };
  assert.deepEqual(actions(plan({ more, begun: unknown })), [['keep', 'x cannot be understood']]);
});

test('what an interrupted prune left goes at once', () => {
  assert.deepEqual(actions(plan({ more: [object(orphan(15), 31)], pruned: [deadRun] })), [
    ['remove', 'left by an interrupted prune'],
  ]);
});

test('chunks beside a manifest that cannot be used are not judged', () => {
  const key = keys.manifest('full', dayStamp(5));
  const beside = object(keys.chunk('full', dayStamp(5), 0), 1);
  assert.deepEqual(actions(plan({ more: [beside], unusable: [key] })), [
    ['keep', 'its manifest cannot be used'],
  ]);
});

test('foreign objects and uploads are nothing to a plan', () => {
  const foreign = ['note.txt', 'full/chunk-1.bin', 'full/deeper/chunk-20260115T020000Z-0.bin'];
  const uploads = foreign.map((name) => ({
    key: `${keys.root}${name}`,
    uploadId: 'u',
    initiatedAt: new Date(0),
  }));
  const planned = plan({ more: foreign.map((name) => object(`${keys.root}${name}`, 1)), uploads });
  assert.deepEqual(planned, plan());
});

for (const [what, scene, day] of [
  ['its parent', { backups: threeGenerations.filter(({ created_at }) => created_at !== dayStamp(10)) }, 10],
  ['the last one', { backups: threeGenerations.slice(0, -1) }, 21],
  [
    'the parent of an unfinished one',
    {
      backups: threeGenerations.slice(0, -1),
      pointer: { manifestKey: keyOf(20) },
      begun: { manifestKeys: [deadRun], parentKey: keyOf(21) },
    },
    21,
  ],
] as const) {
  test(`the chunks of a backup without a manifest stay, whatever their age, when it is named as ${what}`, () => {
    const kind = day === 10 ? 'full' : 'incremental';
    const chunk = object(keys.chunk(kind, dayStamp(day), 0), 1);
    assert.deepEqual(actions(plan({ ...scene, more: [chunk] })), [
      ['keep', 'its manifest is missing, and is needed'],
    ]);
    // Unless something names it, it goes.
    const stranger = object(keys.chunk(kind, dayStamp(15), 0), 1);
    assert.equal(actions(plan({ more: [stranger] }))[0]?.[0], 'remove');
  });
}

test('a lost manifest of an incremental backup hides what it builds on: nothing goes, with the full one or without', () => {
  const chain = threeGenerations.filter(({ created_at }) => created_at !== dayStamp(2));
  const planned = plan({ backups: chain, keep: 1 });
  assert.equal(planned.blocked?.problem, `it is not known what ${keyOf(2)} builds on`);
  assert.deepEqual(
    planned.generations.map(({ action }) => action),
    ['keep', 'keep', 'keep'],
  );
  const without = chain.filter(({ created_at }) => created_at !== dayStamp(1));
  const chunk = object(keys.chunk('full', dayStamp(1), 0), 1);
  assert.deepEqual(actions(plan({ backups: without, more: [chunk] })), [
    ['keep', 'it is not known what is needed'],
  ]);
});

test('while it is not known what is needed, no orphan goes but what a prune of ours has left', () => {
  const more = [object(orphan(15), 1), object(orphan(16), 1)];
  const pruned = [keys.manifest('incremental', dayStamp(16))];
  assert.deepEqual(actions(plan({ more, pruned, pointer: undefined })), [
    ['keep', 'it is not known what is needed'],
    ['remove', 'left by an interrupted prune'],
  ]);
});

test('when all manifests are gone and current.json is not, nothing goes', () => {
  const more = [object(orphan(15), 1), object(keys.chunk('incremental', dayStamp(21), 0), 1)];
  const planned = plan({ backups: [], more });
  assert.match(planned.blocked?.problem ?? '', /^current\.json names .*, which is missing$/);
  assert.deepEqual(actions(planned), [
    ['keep', 'it is not known what is needed'],
    ['keep', 'its manifest is missing, and is needed'],
  ]);
  // Without one nothing was ever published, or everything was pruned by hand.
  assert.deepEqual(
    actions(plan({ backups: [], more, pointer: undefined })).map(([action]) => action),
    ['remove', 'remove'],
  );
});
