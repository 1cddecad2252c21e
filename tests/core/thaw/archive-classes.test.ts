import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Archive,
  archiveOf,
  hasExpiry,
  parseRestoreHeader,
  thawStateOf,
  thawTime,
} from '../../../lib/core/thaw/archive-classes.ts';

const hour = 3600;

for (const [storageClass, status, archive] of [
  ['STANDARD', undefined, undefined],
  ['STANDARD_IA', undefined, undefined],
  ['ONEZONE_IA', undefined, undefined],
  ['GLACIER_IR', undefined, undefined],
  ['INTELLIGENT_TIERING', undefined, undefined],
  ['INTELLIGENT_TIERING', 'ARCHIVE_ACCESS', 'ARCHIVE_ACCESS'],
  ['INTELLIGENT_TIERING', 'DEEP_ARCHIVE_ACCESS', 'DEEP_ARCHIVE_ACCESS'],
  ['STANDARD', 'ARCHIVE_ACCESS', undefined],
  ['GLACIER', undefined, 'GLACIER'],
  ['DEEP_ARCHIVE', undefined, 'DEEP_ARCHIVE'],
] as const) {
  test(`${storageClass}${status ? ` with ${status}` : ''} is ${archive ?? 'readable'}`, () => {
    assert.equal(archiveOf(storageClass, status), archive);
    assert.equal(thawStateOf(archive, undefined).kind, archive ? 'cold' : 'readable');
  });
}

test('the header of a thaw is read as S3 writes it', () => {
  assert.equal(parseRestoreHeader(undefined), undefined);
  assert.equal(parseRestoreHeader('something else'), undefined);
  assert.deepEqual(parseRestoreHeader('ongoing-request="true"'), {
    isInProgress: true,
    expiresAtMs: undefined,
  });
  const done = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"';
  const told = { isInProgress: false, expiresAtMs: Date.UTC(2012, 11, 21) };
  assert.deepEqual(parseRestoreHeader(done), told);
  assert.deepEqual(parseRestoreHeader('ongoing-request="false", expiry-date="soon"'), {
    isInProgress: false,
    expiresAtMs: undefined,
  });
  assert.deepEqual(thawStateOf('GLACIER', told), {
    kind: 'thawed',
    archive: 'GLACIER',
    expiresAtMs: Date.UTC(2012, 11, 21),
  });
  assert.equal(thawStateOf('GLACIER', { isInProgress: true, expiresAtMs: undefined }).kind, 'thawing');
});

for (const [archive, tier, seconds] of [
  ['DEEP_ARCHIVE', 'Standard', [0, 12 * hour]],
  ['DEEP_ARCHIVE', 'Bulk', [0, 48 * hour]],
  ['DEEP_ARCHIVE', 'Expedited', undefined],
  ['GLACIER', 'Expedited', [60, 300]],
  ['GLACIER', 'Standard', [3 * hour, 5 * hour]],
  ['GLACIER', 'Bulk', [5 * hour, 12 * hour]],
  ['DEEP_ARCHIVE_ACCESS', 'Expedited', undefined],
  ['ARCHIVE_ACCESS', 'Expedited', [60, 300]],
] as const) {
  test(`${archive} thaws with ${tier} in ${seconds ?? 'no time: there is no such tier'}`, () => {
    assert.deepEqual(thawTime(archive, tier), seconds);
  });
}

test('only copies out of Glacier classes end by themselves', () => {
  const all: readonly Archive[] = ['GLACIER', 'DEEP_ARCHIVE', 'ARCHIVE_ACCESS', 'DEEP_ARCHIVE_ACCESS'];
  assert.deepEqual(all.map(hasExpiry), [true, true, false, false]);
});
