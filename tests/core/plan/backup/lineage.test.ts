/** Which increments are proven to be right by what the filesystem tells of ancestors and transactions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LineageSubvolume, relate } from '../../../../lib/core/plan/backup/lineage.ts';

/** `name: [made from, in which transaction]`; what is made from nothing was made empty. */
type Family = Readonly<Record<string, readonly [parent: string | undefined, createdTransid: number]>>;

interface Options {
  readonly gone?: readonly string[];
  readonly asMade?: readonly string[];
  readonly received?: readonly string[];
}

function known(family: Family, gone: readonly string[] = []): ReadonlyMap<string, LineageSubvolume> {
  const present = Object.entries(family).filter(([uuid]) => !gone.includes(uuid));
  return new Map(
    present.map(([uuid, [parentUuid, createdTransid]]) => [uuid, { uuid, parentUuid, createdTransid }]),
  );
}

function member(family: Family, uuid: string): LineageSubvolume {
  const [parentUuid, createdTransid] = family[uuid] ?? assert.fail(uuid);
  return { uuid, parentUuid, createdTransid };
}

/** A subvolume of which p is a snapshot, with later ones; rolled back to `old`; received ones, each made from the one before. */
const home: Family = {
  live: [undefined, 10],
  old: ['live', 20],
  p: ['live', 30],
  next: ['live', 40],
  back: ['old', 50],
  ofBack: ['back', 60],
  again: ['p', 70],
  early: ['old', 25],
  ofEarly: ['early', 80],
  stranger: [undefined, 5],
  late: [undefined, 90],
};
const received: Family = {
  one: [undefined, 10],
  p: ['one', 20],
  three: ['p', 30],
  four: ['three', 40],
  n: ['four', 50],
};

/** Two snapshots of a top level without a UUID, and a subvolume that is made from a third, of which `ofMoved` is a snapshot. */
const old: Family = {
  p: [undefined, 20],
  next: [undefined, 30],
  before: [undefined, 15],
  moved: ['before', 40],
  ofMoved: ['moved', 50],
  copy: [undefined, 60],
};

for (const [what, family, source, transid, expected, options] of [
  ['the subvolume that it is a snapshot of', home, 'live', 30, 'proven'],
  ['the same, changed in place before it was sent', home, 'live', 31, 'unproven'],
  ['a later snapshot of that', home, 'next', 30, 'proven'],
  ['a later snapshot of one that is gone', home, 'next', 30, 'proven', { gone: ['live'] }],
  ['what was rolled back to the parent itself', home, 'again', 30, 'proven'],
  ['what was rolled back to the parent, which was changed since', home, 'again', 71, 'unproven'],
  ['what was rolled back, as far as the old state may have been written to', home, 'back', 30, 'unproven'],
  ['what was rolled back', home, 'back', 30, 'proven', { asMade: ['old'] }],
  ['a snapshot of what was rolled back', home, 'ofBack', 30, 'proven', { asMade: ['old'] }],
  [
    'what was rolled back, when the subvolume is gone',
    home,
    'back',
    30,
    'proven',
    { asMade: ['old'], gone: ['live'] },
  ],
  ['what was rolled back to what is gone', home, 'back', 30, 'unproven', { gone: ['old'] }],
  ['a clone that was written to at the same time', home, 'ofEarly', 30, 'unproven', { asMade: ['old'] }],
  ['what was made empty before', home, 'stranger', 30, 'none'],
  [
    'what was made empty before, when the subvolume is gone',
    home,
    'stranger',
    30,
    'unproven',
    { gone: ['live'] },
  ],
  ['what was made empty after, whatever is gone', home, 'late', 30, 'none', { gone: ['live'] }],
  ['what was received onto it, three steps on', received, 'n', 25, 'proven'],
  ['the same, when one of the steps is gone', received, 'n', 25, 'unproven', { gone: ['three'] }],
  ['the next that was received', received, 'three', 25, 'proven'],
  ['a parent of a state later than the steps', received, 'n', 45, 'unproven'],
  ['another snapshot of a top level without a UUID', old, 'next', 20, 'unproven'],
  ['what was made from another one', old, 'ofMoved', 20, 'unproven'],
  ['what was received in full beside it', old, 'copy', 20, 'none', { received: ['copy'] }],
  ['a snapshot, when the parent was received in full', old, 'next', 20, 'none', { received: ['p'] }],
] as const satisfies readonly (readonly [string, Family, string, number, string, Options?])[]) {
  test(`an increment is ${expected}: ${what}`, () => {
    const { gone = [], asMade = [], received = [] }: Options = options ?? {};
    const one = (uuid: string) => ({
      ...member(family, uuid),
      receivedUuid: received.includes(uuid) ? `of ${uuid}` : undefined,
    });
    const relation = relate(one(source), { ...one('p'), transid }, known(family, gone), new Set(asMade));
    assert.equal(relation.is, expected);
  });
}

test('the top level itself has no name by which its snapshot could be taken for it', () => {
  const topLevel: LineageSubvolume = { uuid: undefined, parentUuid: undefined, createdTransid: 0 };
  const parent = { ...member(old, 'p'), transid: 20 };
  assert.equal(relate(topLevel, parent, known(old)).is, 'unproven');
  assert.equal(relate(topLevel, { ...member(home, 'p'), transid: 30 }, known(home)).is, 'none');
});

test('a rollback is distinguished from what simply continued, and from a rollback to the parent, which lacks nothing', () => {
  const isRollback = (source: string) =>
    relate(member(home, source), { ...member(home, 'p'), transid: 30 }, known(home)).isRollback;
  assert.deepEqual(['live', 'next', 'back', 'ofBack', 'again'].map(isRollback), [
    false,
    false,
    true,
    true,
    false,
  ]);
});

test('what lies between is named from the source on, so that it can be looked at', () => {
  const relation = relate(member(home, 'ofBack'), { ...member(home, 'p'), transid: 30 }, known(home));
  assert.deepEqual(
    relation.between.map(({ uuid }) => uuid),
    ['back', 'old'],
  );
});

test('ancestors in a circle, which no filesystem has, end', () => {
  const circle: Family = { p: ['other', 10], other: ['p', 20], live: ['other', 30] };
  const relation = relate(member(circle, 'live'), { ...member(circle, 'p'), transid: 10 }, known(circle));
  assert.equal(relation.is, 'proven');
});
