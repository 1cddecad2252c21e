import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ToolError } from '../../../lib/core/errors.ts';
import type { Manifest, StoredManifest } from '../../../lib/core/format/manifest.ts';
import {
  followChain,
  judgeChains,
  linkProblem,
  MAX_CHAIN_LENGTH,
  newestNotLater,
  recordsLink,
} from '../../../lib/core/plan/chain.ts';
import { chainOfDays, dayStamp, keyOfDay, manifestOfDay, uuidOf } from '../samples.ts';

/** Follows the chain of the last of some manifests, loading from them. */
function follow(
  stored: readonly StoredManifest[],
  newest = stored.at(-1),
): Promise<readonly StoredManifest[]> {
  assert.ok(newest, 'no manifest to begin with');
  return followChain(newest, async (key) => {
    const found = stored.find((manifest) => manifest.key === key);
    if (!found) throw new ToolError(`there is no ${key}`, { kind: 'damage' });
    return found.manifest;
  });
}

/** Backup of a day with some fields changed. */
function changed(
  day: number,
  fields: Partial<Manifest>,
  snapshot: Partial<Manifest['snapshot']> = {},
): StoredManifest {
  const manifest = manifestOfDay(day);
  return {
    key: keyOfDay(day),
    manifest: { ...manifest, ...fields, snapshot: { ...manifest.snapshot, ...snapshot } },
  };
}

const brokenWith = (message: RegExp) => ({ name: 'ToolError', kind: 'damage', message });

test('a full backup and the incrementals on it resolve in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 28 }),
      fc.integer({ min: 1, max: 28 }),
      async (days, newest) => {
        const chain = chainOfDays(Math.max(days, newest));
        assert.deepEqual(await follow(chain, chain[newest - 1]), chain.slice(0, newest));
      },
    ),
  );
});

test('a backup that is its own parent is damage, and the newest key is named', async () => {
  const self = changed(2, { parent_manifest: keyOfDay(2) }, { parent_uuid: uuidOf(2) });
  const message = new RegExp(`^the chain of ${keyOfDay(2)} is broken: ${keyOfDay(2)} is its own ancestor$`);
  await assert.rejects(follow([self]), brokenWith(message));
});

test('a loop further back is damage', async () => {
  const looping = changed(2, { parent_manifest: keyOfDay(3) }, { parent_uuid: uuidOf(3) });
  await assert.rejects(
    follow([looping, changed(3, {})]),
    brokenWith(new RegExp(`${keyOfDay(3)} is its own ancestor`)),
  );
});

test('a chain without end is given up', async () => {
  const newest = changed(2, { parent_manifest: 'key-0' }, { parent_uuid: null });
  let loads = 0;
  const endless = followChain(newest, async () => {
    loads++;
    return { ...newest.manifest, parent_manifest: `key-${loads}` };
  });
  await assert.rejects(endless, brokenWith(/endless/));
  assert.equal(loads, MAX_CHAIN_LENGTH - 1);
});

test('a missing parent is reported as the loader reports it', async () => {
  const chain = chainOfDays(3).filter((stored) => stored.key !== keyOfDay(1));
  await assert.rejects(follow(chain), brokenWith(new RegExp(`^there is no ${keyOfDay(1)}$`)));
});

test('a parent of another subvolume is damage', async () => {
  const chain = [changed(1, { subvolume: 'home' }), changed(2, {})];
  await assert.rejects(follow(chain), brokenWith(/belongs to subvolume "home"/));
});

test('a parent whose UUID is not the one that was sent against is damage, and both are named', async () => {
  const chain = [changed(1, {}), changed(2, {}, { parent_uuid: uuidOf(77) })];
  const message = new RegExp(
    `was sent against snapshot ${uuidOf(77)}, but ${keyOfDay(1)} holds ${uuidOf(1)}`,
  );
  await assert.rejects(follow(chain), brokenWith(message));
});

test('the hint names another point of restore', async () => {
  const chain = [changed(1, { subvolume: 'home' }), changed(2, {})];
  await assert.rejects(follow(chain), { hint: /AT=.*MANIFEST=.*make verify/ });
});

for (const [situation, parent, child] of [
  ['the UUIDs are the same', {}, {}],
  [
    'the child was sent against the received UUID',
    { received_uuid: uuidOf(50) },
    { parent_uuid: uuidOf(50) },
  ],
  ['the child was sent against the own UUID of a received snapshot', { received_uuid: uuidOf(50) }, {}],
  ['the parent does not record its UUID', { uuid: null }, {}],
  ['the child does not record what it was sent against', {}, { parent_uuid: null }],
  ['the child says nothing of what it was sent against', {}, { parent_uuid: undefined }],
] as const) {
  test(`a link is accepted when ${situation}`, () => {
    assert.equal(linkProblem(changed(2, {}, child), changed(1, {}, parent)), undefined);
  });
}

test('a received UUID does not make a foreign parent fit', () => {
  const parent = changed(1, {}, { received_uuid: uuidOf(50) });
  assert.match(linkProblem(changed(2, {}, { parent_uuid: uuidOf(51) }), parent) ?? '', /sent against/);
});

test('a clock that went backwards does not break a chain', () => {
  assert.equal(
    linkProblem(changed(2, { created_at: dayStamp(1) }), changed(1, { created_at: dayStamp(9) })),
    undefined,
  );
});

test('the newest not later than a moment is chosen, the moment itself included', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 31 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 31 }),
      (days, day) => {
        const items = days.map((of) => ({ timestamp: dayStamp(of) }));
        const expected = Math.max(...days.filter((of) => of <= day));
        const found = newestNotLater(items, new Date(Date.UTC(2026, 0, day, 2)));
        assert.equal(found?.timestamp, Number.isFinite(expected) ? dayStamp(expected) : undefined);
      },
    ),
  );
});

test('one second before a backup, the one before it is chosen', () => {
  const items = [{ timestamp: dayStamp(1) }, { timestamp: dayStamp(2) }];
  assert.equal(newestNotLater(items, new Date('2026-01-02T01:59:59Z')), items[0]);
});

test('items whose timestamp is none are passed over', () => {
  const items = [{ timestamp: dayStamp(1) }, { timestamp: '20260199T000000Z' }, { timestamp: '1' }];
  assert.equal(newestNotLater(items, new Date('2026-12-31T00:00:00Z')), items[0]);
});

test('each backup is judged once, after what it builds on, however long the chain', () => {
  const length = 50_000;
  const parentOf = (key: string) => (key === '0' ? null : String(Number(key) - 1));
  const keys = Array.from({ length }, (_, index) => String(length - 1 - index));
  let judged = 0;
  const depths = judgeChains<number>(
    keys,
    parentOf,
    (_, parent) => {
      judged++;
      return parent === undefined ? 0 : parent + 1;
    },
    -1,
  );
  assert.equal(judged, length);
  for (const key of ['0', '1', String(length - 1)]) assert.equal(depths.get(key), Number(key));
});

test('what is its own ancestor is judged so, and what builds on it after it; a parent that is not there is judged too', () => {
  const parents: Readonly<Record<string, string>> = {
    a: 'b',
    b: 'c',
    c: 'a',
    onLoop: 'a',
    onNothing: 'gone',
  };
  const verdicts = judgeChains<string>(
    Object.keys(parents),
    (key) => parents[key] ?? null,
    (key, parent) => `${key} on ${parent ?? 'nothing'}`,
    'loop',
  );
  assert.deepEqual(Object.fromEntries(verdicts), {
    a: 'loop',
    b: 'loop',
    c: 'loop',
    onLoop: 'onLoop on loop',
    gone: 'gone on nothing',
    onNothing: 'onNothing on gone on nothing',
  });
});

test('a backup that was sent against another state of its parent does not link to it', () => {
  const [full, incremental] = chainOfDays(2);
  assert.ok(full && incremental);
  const linked = (parentTransid: number | undefined, transid: number | undefined) => {
    const child = { ...incremental.manifest.snapshot, parent_transid: parentTransid };
    return linkProblem(
      { ...incremental, manifest: { ...incremental.manifest, snapshot: child } },
      { ...full, manifest: { ...full.manifest, snapshot: { ...full.manifest.snapshot, transid } } },
    );
  };
  assert.match(
    linked(7, 36) ?? '',
    /was sent against state 7 of its parent snapshot, but \S+ holds state 36/,
  );
  assert.equal(linked(36, 36), undefined);
  assert.equal(linked(undefined, 36), undefined, 'older manifests do not record it');
  assert.equal(linked(7, undefined), undefined);
});

test('a backup on a copy of its parent links by UUID: the copy has a state of its own', () => {
  const [full, incremental] = chainOfDays(2);
  assert.ok(full && incremental);
  const parent = {
    ...full,
    manifest: { ...full.manifest, snapshot: { ...full.manifest.snapshot, transid: 36 } },
  };
  const onCopy = (of: Partial<Manifest['snapshot']>) => {
    const snapshot = { ...incremental.manifest.snapshot, parent_transid: 7, ...of };
    return { ...incremental, manifest: { ...incremental.manifest, snapshot } };
  };
  assert.equal(linkProblem(onCopy({ parent_continued: true }), parent), undefined);
  assert.equal(recordsLink(onCopy({ parent_continued: true }).manifest, parent.manifest), true);
  assert.match(linkProblem(onCopy({}), parent) ?? '', /against state 7/);
  const stranger = onCopy({ parent_continued: true, parent_uuid: uuidOf(77) });
  assert.match(linkProblem(stranger, parent) ?? '', /was sent against snapshot/);
});
