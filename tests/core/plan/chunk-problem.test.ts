import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManifestChunk } from '../../../lib/core/format/manifest.ts';
import { chunkProblem, type DescribedObject, isWorthReading } from '../../../lib/core/plan/chunk-problem.ts';
import { keys, dayStamp as stamp } from '../samples.ts';

const chunk: ManifestChunk = {
  key: keys.chunk('full', stamp(1), 0),
  size: 1000,
  sha256: 'a'.repeat(64),
  etag: '"abc-2"',
  checksum: 'sum-2',
};
const object: DescribedObject = { sizeBytes: 1000, etag: '"abc-2"', sha256: 'sum-2' };

for (const [what, recorded, described] of [
  ['is as it was recorded', chunk, object],
  ['has the ETag without its quotes', chunk, { ...object, etag: 'abc-2' }],
  ['has a checksum that was not recorded', { ...chunk, checksum: undefined }, object],
  ['has no checksum on this server', chunk, { ...object, sha256: undefined }],
  ['has no ETag on this server', chunk, { ...object, etag: '' }],
  ['was recorded without an ETag', { ...chunk, etag: null }, object],
  ['was recorded with an empty ETag', { ...chunk, etag: '' }, object],
  ['has another ETag but the same checksum', chunk, { ...object, etag: '"zzz-2"' }],
] as const) {
  test(`nothing speaks against an object that ${what}`, () => {
    assert.equal(chunkProblem(recorded as ManifestChunk, described), undefined);
  });
}

for (const [what, described, expected] of [
  ['is not there', undefined, 'is missing'],
  ['is shorter', { ...object, sizeBytes: 999 }, 'has 999 bytes instead of 1000'],
  ['is empty', { ...object, sizeBytes: 0 }, 'has 0 bytes instead of 1000'],
  ['has another checksum', { ...object, sha256: 'other-2' }, 'has the checksum other-2 instead of sum-2'],
  [
    'has another ETag and no checksum',
    { ...object, etag: 'x', sha256: undefined },
    'was replaced: its ETag is x instead of abc-2',
  ],
] as const) {
  test(`an object that ${what} is found out`, () => {
    assert.equal(chunkProblem(chunk, described), expected);
  });
}

test('only what is there, with as many bytes, is worth reading', () => {
  assert.equal(isWorthReading(chunk, { ...object, etag: 'x', sha256: 'other-2' }), true);
  assert.equal(isWorthReading(chunk, { ...object, sizeBytes: 999 }), false);
  assert.equal(isWorthReading(chunk, undefined), false);
});
