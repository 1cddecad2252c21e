/** The plan, case by case; tests/stage/apply-prune.test.ts has what holds for every case. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadManifest } from '../../lib/core/generations.ts';
import type { ListedObject } from '../../lib/core/inventory.ts';
import type { Manifest } from '../../lib/core/manifest.ts';
import { type PruneInput, type PrunePlan, planPrune } from '../../lib/core/prune-plan.ts';
import { dayStamp, keys, manifestOfDay, prefix, subvolume, uuidOf } from './samples.ts';

const now = new Date('2026-02-01T00:00:00Z');

/** A backup of a day, full or on that of another day. */
function backup(day: number, parentDay?: number, changes: Partial<Manifest> = {}): Manifest {
  const kind = parentDay === undefined ? 'full' : 'incremental';
  const manifest = manifestOfDay(day, kind);
  const parent = parentDay === undefined ? null : keyOf(parentDay);
  const snapshot = {
    ...manifest.snapshot,
    parent_uuid: parentDay === undefined ? null : uuidOf(parentDay),
  };
  return { ...manifest, snapshot, parent_manifest: parent, ...changes };
}

const fulls = [1, 10, 20];
/** Fulls of days 1, 10 and 20; everything between is incremental. */
const keyOf = (day: number) => keys.manifest(fulls.includes(day) ? 'full' : 'incremental', dayStamp(day));

const object = (key: string, day: number, sizeBytes = 1): ListedObject => ({
  key,
  sizeBytes,
  etag: '',
  storageClass: 'STANDARD',
  modifiedAt: new Date(Date.UTC(2026, 0, day, 2)),
});

/** Three generations of days 1-3, 10-11 and 20-21, the last of which is the current one. */
const threeGenerations = [
  backup(1),
  backup(2, 1),
  backup(3, 2),
  backup(10),
  backup(11, 10),
  backup(20),
  backup(21, 20),
];

interface Scene extends Partial<Omit<PruneInput, 'objects' | 'manifests'>> {
  readonly backups?: readonly Manifest[];
  readonly unusable?: readonly string[];
  /** Beside what the manifests name. */
  readonly more?: readonly ListedObject[];
  readonly without?: readonly string[];
}

function plan({ backups = threeGenerations, unusable = [], more = [], without = [], ...rest }: Scene = {}) {
  const manifests = new Map<string, ReadManifest>(
    backups.map((manifest) => [keys.manifest(manifest.kind, manifest.created_at), manifest]),
  );
  for (const key of unusable) manifests.set(key, { unusable: 'is not JSON' });
  const day = (manifest: Manifest) => Number(manifest.created_at.slice(6, 8));
  const objects = [
    ...[...manifests.keys()].map((key) => object(key, 1, 10)),
    ...backups.flatMap((manifest) =>
      manifest.chunks.map(({ key, size }) => object(key, day(manifest), size)),
    ),
    ...more,
  ];
  return planPrune({
    prefix,
    subvolume,
    keep: 2,
    now,
    uploads: [],
    pointer: { manifestKey: keyOf(21) },
    begun: { manifestKeys: [], parentKey: undefined },
    pruned: [],
    ...rest,
    manifests,
    objects: objects.filter(({ key }) => !without.includes(key)),
  });
}

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
    { key: keyOf(11), problem: `it builds on ${keyOf(10)}, which cannot be used` },
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
  const planned = plan({
    backups: [...threeGenerations, backup(6, 5)],
    unusable: [keys.manifest('full', dayStamp(5))],
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

test('what this host will go on with stays, whatever its age; with unreadable run files everything does', () => {
  const more = [object(orphan(15), 1)];
  assert.deepEqual(actions(plan({ more, begun: { manifestKeys: [deadRun], parentKey: undefined } })), [
    ['keep', 'this host will go on with it'],
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
