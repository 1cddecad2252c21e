/** The plan for generations, case by case; tests/stage/bucket/apply-prune.test.ts has what holds for every case. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../../../lib/core/format/manifest.ts';
import type { PrunePlan } from '../../../../lib/core/plan/prune/prune-plan.ts';
import { backup, keyOf, object, plan, threeGenerations } from '../../prune-scenes.ts';
import { dayStamp, keys, manifestOfDay, uuidOf } from '../../samples.ts';

const told = ({ generations }: PrunePlan) =>
  generations.map(({ createdAt, action, reason }) => [Number(createdAt.slice(6, 8)), action, reason]);

const goes = ({ removals }: PrunePlan) => removals.map(({ manifest }) => manifest.key);

test('the newest generations stay, the rest goes whole, and what builds on something comes first', () => {
  const planned = plan();
  assert.deepEqual(told(planned), [
    [1, 'remove', 'beyond the newest 2'],
    [10, 'keep', 'among the newest 2'],
    [20, 'keep', 'the last backup is in it'],
  ]);
  assert.deepEqual(goes(planned), [keyOf(3), keyOf(2), keyOf(1)]);
  assert.deepEqual(
    planned.removals.map(({ objects, depth }) => [objects.length, depth]),
    [
      [2, 2],
      [2, 1],
      [2, 0],
    ],
  );
  const [first, second] = planned.generations;
  assert.deepEqual([first?.backups, first?.objects, first?.bytes], [3, 9, 3 * 3010]);
  assert.deepEqual([second?.backups, second?.objects, second?.bytes], [2, 6, 2 * 3010]);
  assert.deepEqual([planned.blocked, planned.broken, planned.orphans], [undefined, [], []]);
});

test('with fewer generations than are kept nothing goes', () => {
  assert.deepEqual(goes(plan({ keep: 3 })), []);
  assert.deepEqual(goes(plan({ keep: 10_000 })), []);
  assert.deepEqual(goes(plan({ backups: [], pointer: undefined })), []);
});

test('the last backup stays with its generation when its clock says that it is the oldest', () => {
  const planned = plan({ keep: 1, pointer: { manifestKey: keyOf(2) } });
  assert.deepEqual(told(planned), [
    [1, 'keep', 'the last backup is in it'],
    [10, 'remove', 'beyond the newest 1'],
    [20, 'keep', 'among the newest 1'],
  ]);
});

test('a child that is older than its parent is in its parent’s generation', () => {
  const planned = plan({
    keep: 1,
    backups: [backup(10), backup(3, 10), backup(20), backup(21, 20)],
  });
  assert.deepEqual(told(planned)[0], [10, 'remove', 'beyond the newest 1']);
  assert.deepEqual(goes(planned), [keyOf(3), keyOf(10)]);
});

test('what an unfinished backup of this host builds on stays, and what it is about to publish', () => {
  const parent = plan({ begun: { manifestKeys: [], parentKey: keyOf(2) } });
  assert.deepEqual(told(parent)[0], [1, 'keep', 'an unfinished backup builds on it']);
  const written = plan({ begun: { manifestKeys: [keyOf(1)], parentKey: undefined } });
  assert.deepEqual(told(written)[0], [1, 'keep', 'this host is about to publish it']);
});

test('a generation with a lost chunk at its root is left alone and does not count', () => {
  const lost = backup(10).chunks[0]?.key ?? '';
  const planned = plan({ without: [lost] });
  assert.deepEqual(told(planned), [
    [1, 'keep', 'among the newest 2'],
    [20, 'keep', 'the last backup is in it'],
  ]);
  assert.deepEqual(planned.broken, [
    { key: keyOf(10), problem: `chunk ${lost} is missing` },
    { key: keyOf(11), problem: `it builds on ${keyOf(10)}` },
  ]);
});

test('a broken backup keeps all that it builds on', () => {
  const lost = backup(3, 2).chunks[0]?.key ?? '';
  const planned = plan({ without: [lost] });
  assert.deepEqual(told(planned)[0], [1, 'keep', `${keyOf(3)} builds on it, which cannot be used`]);
  assert.deepEqual(goes(planned), []);
});

test('a link by key keeps the parent even when its UUID is another', () => {
  const stranger = backup(3, 2);
  const snapshot = { ...stranger.snapshot, parent_uuid: uuidOf(77) };
  const planned = plan({
    backups: threeGenerations.map((each) =>
      each.created_at === dayStamp(3) ? { ...stranger, snapshot } : each,
    ),
  });
  assert.match(planned.broken[0]?.problem ?? '', /was sent against snapshot/);
  assert.deepEqual(goes(planned), []);
});

test('a loop is broken, and ends', () => {
  const planned = plan({ backups: [...threeGenerations, backup(4, 5), backup(5, 4)] });
  assert.deepEqual(
    planned.broken.map(({ key }) => key),
    [keyOf(4), keyOf(5)],
  );
  assert.deepEqual(goes(planned), [keyOf(3), keyOf(2), keyOf(1)]);
});

test('the longest chain is walked', () => {
  const stamp = (at: number) => new Date(at * 60_000).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const chain = Array.from({ length: 10_000 }, (_, at): Manifest => {
    const full = manifestOfDay(1);
    const parent = at === 0 ? null : keys.manifest(at === 1 ? 'full' : 'incremental', stamp(at - 1));
    const chunks = [{ key: keys.chunk('full', stamp(at), 0), size: 1, sha256: 'a'.repeat(64) }];
    const kind = at === 0 ? 'full' : 'incremental';
    const uuids = { uuid: uuidOf(at), parent_uuid: at === 0 ? null : uuidOf(at - 1) };
    const snapshot = { ...full.snapshot, ...uuids };
    return { ...full, kind, created_at: stamp(at), parent_manifest: parent, chunks, snapshot };
  });
  const newestFirst = [...chain].reverse();
  const planned = plan({ keep: 1, backups: [...newestFirst, ...threeGenerations] });
  assert.equal(planned.removals.length, 10_000 + 3 + 2);
  assert.equal(planned.removals[0]?.depth, 9_999);
});

for (const [what, scene, problem] of [
  ['current.json is missing', { pointer: undefined }, /current\.json is missing/],
  ['current.json is damaged', { pointer: { unusable: 'is not JSON' } }, /current\.json is not JSON/],
  ['current.json names what is not there', { pointer: { manifestKey: keyOf(25) } }, /which is missing/],
  ['it cannot be known what a manifest builds on', { unusable: [keyOf(4)] }, /what .* builds on/],
  [
    'run files cannot be read',
    { begun: { manifestKeys: [], parentKey: undefined, unknown: 'x cannot be understood' } },
    /^x cannot be understood$/,
  ],
] as const) {
  test(`when ${what}, no generation goes`, () => {
    const planned = plan(scene);
    assert.match(planned.blocked?.problem ?? '', problem);
    assert.equal(planned.blocked?.where, what.startsWith('run') ? 'host' : 'bucket');
    assert.deepEqual(goes(planned), []);
    assert.equal(told(planned)[0]?.[1], 'keep');
  });
}

test('a full backup whose manifest cannot be used is left alone, and the rest is pruned', () => {
  const full = keys.manifest('full', dayStamp(5));
  const planned = plan({
    backups: [...threeGenerations, backup(6, 5, { parent_manifest: full })],
    unusable: [full],
  });
  assert.equal(planned.blocked, undefined);
  assert.deepEqual(goes(planned), [keyOf(3), keyOf(2), keyOf(1)]);
  assert.equal(planned.broken.length, 2);
});

test('a chunk that something kept names stays, whoever else names it', () => {
  const shared = backup(1).chunks[0]?.key ?? '';
  const last = backup(21, 20);
  const [one, two] = last.chunks;
  assert.ok(one && two, 'two chunks');
  const planned = plan({
    backups: [...threeGenerations.slice(0, -1), { ...last, chunks: [{ ...one, key: shared }, two] }],
  });
  assert.deepEqual(goes(planned), [keyOf(3), keyOf(2), keyOf(1)]);
  const gone = planned.removals.flatMap(({ objects }) => objects.map(({ key }) => key));
  assert.equal(gone.includes(shared), false);
});

test('a file index and chunks of earlier attempts go with their backup', () => {
  const index = (day: number) => keyOf(day).replace('manifest-', 'index-').replace('.json', '.ndjson.zst');
  const stray = keys.chunk('incremental', dayStamp(2), 7);
  const planned = plan({ more: [object(index(1), 31), object(index(20), 1), object(stray, 31)] });
  const gone = planned.removals.flatMap(({ objects }) => objects.map(({ key }) => key));
  assert.deepEqual(
    [index(1), stray, index(20)].map((key) => gone.includes(key)),
    [true, true, false],
  );
  assert.deepEqual(planned.orphans, [], 'the index of what stays is no orphan');
});

test('what lies in another class than it was stored in is charged for as if it had come there today', () => {
  const chargeOf = (storageClass: string) => {
    const [{ key, size } = { key: '', size: 0 }] = backup(1).chunks;
    return plan({ more: [{ ...object(key, 1, size), storageClass }] }).generations[0]?.charge?.daysLeft;
  };
  // Stored in DEEP_ARCHIVE, 30 days and 22 hours ago.
  assert.equal(chargeOf('DEEP_ARCHIVE'), 150);
  assert.equal(chargeOf('GLACIER'), 90);
});
