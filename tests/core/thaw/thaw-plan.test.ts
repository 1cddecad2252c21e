import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAgainMs } from '../../../lib/core/backoff.ts';
import { exitCodeOf } from '../../../lib/core/errors.ts';
import { hostPrefixes } from '../../../lib/core/format/names.ts';
import type { ThawState } from '../../../lib/core/thaw/archive-classes.ts';
import { batchManifest } from '../../../lib/core/thaw/batch-manifest.ts';
import {
  checkTier,
  daysToAsk,
  describeReadyIn,
  describeThaw,
  objectsToRequest,
  readyIn,
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
    waitsFor: ['DEEP_ARCHIVE', 'GLACIER'],
  });
  assert.equal(describeThaw(progress), '4 of 6 chunks (40 B of 60 B) can be read, 1 in progress, 1 cold');
  assert.deepEqual(readyIn(progress, 'Standard'), [3 * hour, 12 * hour]);
  assert.deepEqual(readyIn(progress, 'Bulk'), [5 * hour, 48 * hour]);
  assert.deepEqual(
    readyIn(progress, 'Expedited'),
    [60, 12 * hour],
    'of what is in the deep archive: Standard',
  );
});

test('where all can be read there is no time to wait, and no expiry where nothing was thawed', () => {
  const progress = thawProgress([{ key: 'a', sizeBytes: 1, state: { kind: 'readable' } }]);
  assert.deepEqual([readyIn(progress, 'Standard'), progress.expiresAtMs], [undefined, undefined]);
  assert.equal(describeThaw(progress), '1 of 1 chunk (1 B of 1 B) can be read');
});

test('times are told as S3 promises them', () => {
  assert.equal(describeReadyIn([0, 12 * hour]), '12h 00m at most');
  assert.equal(describeReadyIn([3 * hour, 5 * hour]), '3h 00m to 5h 00m');
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
