import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAgainMs } from '../../../lib/core/backoff.ts';
import { exitCodeOf } from '../../../lib/core/errors.ts';
import { hostPrefixes } from '../../../lib/core/format/names.ts';
import type { ThawState, ThawTier } from '../../../lib/core/thaw/archive-classes.ts';
import { batchManifest } from '../../../lib/core/thaw/batch-manifest.ts';
import { describeReadyTime, readyTime } from '../../../lib/core/thaw/ready-time.ts';
import {
  checkTier,
  daysToAsk,
  describeThaw,
  objectsToHurry,
  objectsToRequest,
  thawProgress,
  transferMs,
} from '../../../lib/core/thaw/thaw-plan.ts';
import { MIB, TIB } from '../../../lib/core/units.ts';

const hour = 3600;
const day = 86_400_000;
const nowMs = Date.UTC(2026, 10, 25);

const states: Readonly<Record<string, ThawState>> = {
  readable: { kind: 'readable' },
  endless: { kind: 'thawed', archive: 'GLACIER', expiresAtMs: undefined },
  long: { kind: 'thawed', archive: 'GLACIER', expiresAtMs: nowMs + 5 * day },
  short: { kind: 'thawed', archive: 'GLACIER', expiresAtMs: nowMs + day },
  thawing: { kind: 'thawing', archive: 'GLACIER' },
  cold: { kind: 'cold', archive: 'DEEP_ARCHIVE' },
};
const objects = Object.entries(states).map(([key, state]) => ({ key, sizeBytes: 10, state }));

test('what is cold is requested, and what goes before it is needed no more; nothing else', () => {
  const wanted = (untilMs: number) => objectsToRequest(objects, untilMs).map(({ key }) => key);
  assert.deepEqual(wanted(nowMs + 2 * day), ['short', 'cold']);
  assert.deepEqual(wanted(nowMs + day), ['cold'], 'exactly long enough is long enough');
  assert.deepEqual(wanted(nowMs + 6 * day), ['long', 'short', 'cold']);
});

test('days are what the transfer needs, and at least what the settings say', () => {
  assert.equal(transferMs(10 * MIB, 10 * MIB), 1000);
  assert.equal(daysToAsk(transferMs(10 * MIB, 10 * MIB), 7), 7);
  assert.equal(daysToAsk(5 * day, 7), 7);
  assert.equal(daysToAsk(5 * day + 1, 7), 8);
  assert.equal(daysToAsk(transferMs(20 * TIB, 10 * MIB), 7), 27);
  assert.equal(daysToAsk(1000 * day, 7), 365);
});

test('a tier that the class does not have is refused before anything is requested', () => {
  const cold = objectsToRequest(objects, nowMs);
  checkTier(cold, 'Bulk');
  checkTier([{ key: 'x', archive: 'GLACIER' }], 'Expedited');
  assert.throws(
    () => checkTier(cold, 'Expedited'),
    (error: Error) => {
      assert.match(error.message, /^DEEP_ARCHIVE has no tier Expedited: nothing was requested$/);
      return exitCodeOf(error) === 2;
    },
  );
});

test('progress counts by state, with the first expiry and what is waited for', () => {
  const progress = thawProgress(objects);
  assert.deepEqual(progress, {
    objects: 6,
    bytes: 60,
    readable: 4,
    readableBytes: 40,
    thawed: 3,
    thawing: 1,
    cold: 1,
    expiresAtMs: nowMs + day,
    waits: [
      { archive: 'DEEP_ARCHIVE', isAsked: false, tier: undefined },
      { archive: 'GLACIER', isAsked: true, tier: undefined },
    ],
  });
  assert.equal(describeThaw(progress), '4 of 6 chunks (40 B of 60 B) can be read, 1 in progress, 1 cold');
  assert.equal(describeThaw(progress, 'document').includes('of 6 documents'), true);
});

test('where all can be read there is no time to wait, and no expiry where nothing was thawed', () => {
  const progress = thawProgress([{ key: 'a', sizeBytes: 1, state: { kind: 'readable' } }]);
  assert.deepEqual([readyTime(progress, 'Standard'), progress.expiresAtMs], [{ kind: 'now' }, undefined]);
  assert.equal(describeReadyTime(readyTime(progress, 'Standard')), undefined);
  assert.equal(describeThaw(progress), '1 of 1 chunk (1 B of 1 B) can be read');
});

/** The time of objects in one state each. */
const timeOf = (tier: ThawTier, ...of: readonly ThawState[]) =>
  readyTime(thawProgress(of.map((state, index) => ({ key: `${index}`, sizeBytes: 1, state }))), tier);

test('a time is known of what this run asked for, and of nothing else', () => {
  const ours = { kind: 'thawing', archive: 'GLACIER', tier: 'Bulk' } as const;
  const theirs = { kind: 'thawing', archive: 'GLACIER' } as const;
  const deep = { kind: 'thawing', archive: 'DEEP_ARCHIVE', tier: 'Standard' } as const;
  const cold = { kind: 'cold', archive: 'GLACIER' } as const;
  assert.deepEqual(timeOf('Expedited', ours), { kind: 'known', seconds: [5 * hour, 12 * hour] });
  assert.deepEqual(timeOf('Expedited', ours, deep), { kind: 'known', seconds: [5 * hour, 12 * hour] });
  assert.deepEqual(timeOf('Expedited', theirs), { kind: 'unknown', seconds: [0, 12 * hour] });
  assert.deepEqual(timeOf('Expedited', theirs, deep), { kind: 'unknown', seconds: [0, 12 * hour] });
  assert.deepEqual(timeOf('Expedited', cold, ours), { kind: 'unasked', seconds: [5 * hour, 12 * hour] });
  assert.deepEqual(timeOf('Expedited', cold), { kind: 'unasked', seconds: [60, 300] });
  const archive = 'DEEP_ARCHIVE' as const;
  assert.deepEqual(timeOf('Expedited', { kind: 'cold', archive }).kind, 'unasked', 'as in Standard');
});

test('times are shown as S3 promises them, with the request that they count from', () => {
  const told = (kind: 'known' | 'unasked' | 'unknown', from: number, to: number) =>
    describeReadyTime({ kind, seconds: [from * hour, to * hour] });
  assert.equal(told('known', 0, 12), 'it takes 12h 00m at most from the request on');
  assert.equal(told('known', 3, 5), 'it takes 3h 00m to 5h 00m from the request on');
  assert.match(
    told('unasked', 3, 5) ?? '',
    /^it takes 3h 00m to 5h 00m from the request, which has not been made/,
  );
  assert.match(
    told('unknown', 0, 12) ?? '',
    /a tier that the bucket does not show: 12h 00m at most from that request/,
  );
});

test('what thaws by an earlier request can be hurried, unless Bulk is asked for', () => {
  const keys = (tier: ThawTier) => objectsToHurry(objects, tier).map(({ key }) => key);
  assert.deepEqual(keys('Expedited'), ['thawing']);
  assert.deepEqual(keys('Standard'), ['thawing']);
  assert.deepEqual(keys('Bulk'), []);
  const ours = {
    key: 'ours',
    sizeBytes: 1,
    state: { kind: 'thawing', archive: 'GLACIER', tier: 'Standard' },
  } as const;
  assert.deepEqual(objectsToHurry([ours], 'Expedited'), []);
});

test('looks become rarer, up to one in five minutes', () => {
  assert.deepEqual([1, 2, 3, 9, 10, 2000].map(lookAgainMs), [1000, 2000, 4000, 256_000, 300_000, 300_000]);
});

test('keys in a batch manifest are URL-encoded, so that none breaks a line of it', () => {
  assert.equal(
    batchManifest('b', ['fleet/a,b "c"/ü\n.bin', 'x/50%+1']),
    'b,fleet/a%2Cb%20%22c%22/%C3%BC%0A.bin\nb,x/50%25%2B1\n',
  );
  assert.equal(batchManifest('b', []), '');
});

test('hosts are found below a prefix by the keys of their backups, and nothing else is taken for one', () => {
  const chunk = 'subvol/data/full/chunk-20260101T020000Z-00000.bin';
  const keys = [
    `fleet/host-1/${chunk}`,
    `fleet/a/subvol/b/${chunk}`,
    'fleet/host-2/subvol/data/current.json',
    `fleet/host-3/notes/${chunk.replace('full', 'other')}`,
    `fleet/${chunk}`,
    `fleet-2/host/${chunk}`,
    'fleet/RESTORE.txt',
  ];
  assert.deepEqual(hostPrefixes('fleet', keys), [
    'fleet',
    'fleet/a/subvol/b',
    'fleet/host-1',
    'fleet/host-2',
  ]);
  assert.deepEqual(hostPrefixes('fleet/host-1', keys), ['fleet/host-1']);
  assert.deepEqual(hostPrefixes('none', keys), []);
});
