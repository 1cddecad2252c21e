import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { PLAIN, unknownStep } from '../../../lib/core/format/codec.ts';
import type { Manifest } from '../../../lib/core/format/manifest.ts';
import { parseManifest, serialiseDocument } from '../../../lib/core/format/manifest.ts';
import { identityOf, parseSealed } from '../../../lib/core/format/sealed-digests.ts';
import { type Json, set } from '../changed-manifest.ts';
import { keyOfDay, manifestOfDay, prefix, uuidOf } from '../samples.ts';

const hash = `${'A'.repeat(43)}=`;
const least = 5 * 2 ** 20;

/** Two chunks: one of two parts and three frames, and one of one. */
function encoded(compress: 'none' | 'zstd', encrypt: 'none' | 'age'): Manifest {
  const { stream, ...manifest } = manifestOfDay(2);
  const [first, second] = manifest.chunks;
  assert.ok(first && second && stream);
  const { part_size: _, ...chunk } = first;
  const { part_size: __, ...last } = second;
  const { sha256, ...facts } = stream;
  const plain = 6 * 2 ** 20;
  return {
    ...manifest,
    chunks: [
      {
        ...chunk,
        size: least + 7,
        parts: [hash, hash],
        frames: [
          { size: least - 1, plain_size: plain },
          { size: 1, plain_size: plain },
          { size: 7, plain_size: plain },
        ],
      },
      { ...last, parts: [hash], frames: [{ size: 500, plain_size: 3 }] },
    ],
    total_bytes: least + 507,
    codec: { compress, encrypt },
    stream: { ...facts, bytes: 3 * plain + 3, ...(encrypt === 'none' && { sha256 }) },
    ...(encrypt === 'age' && { sealed: 'AAAA' }),
    tool: { name: 'btrfs-to-s3', version: '0.1.0', programs: { zstd: '1.5.4' } },
  };
}

function refusal(manifest: unknown): ToolError {
  try {
    parseManifest(JSON.stringify(manifest), keyOfDay(2), prefix);
  } catch (error) {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.kind, 'damage');
    return error;
  }
  assert.fail('it was accepted');
}

const codecs = [
  ['zstd', 'none'],
  ['none', 'age'],
  ['zstd', 'age'],
] as const;

for (const [compress, encrypt] of codecs) {
  test(`a manifest of ${compress} and ${encrypt} is accepted as it is, with and without the hash of a chunk`, () => {
    const manifest = encoded(compress, encrypt);
    assert.deepEqual(parseManifest(serialiseDocument(manifest), keyOfDay(2), prefix), manifest);
    const unhashed = set(structuredClone(manifest) as unknown as Json, 'chunks.0.sha256', undefined);
    assert.deepEqual(parseManifest(JSON.stringify(unhashed), keyOfDay(2), prefix), unhashed);
  });
}

for (const [path, value, says] of [
  ['chunks.0.frames', undefined, /chunk 0 is encoded, but lists no frames/],
  ['chunks.1.parts', undefined, /chunk 1 is encoded, but lists no parts/],
  ['chunks.0.frames', [], /chunks\.0\.frames: .*>=1/],
  ['chunks.0.frames.0.size', 0, /chunks\.0\.frames\.0\.size: .*>0/],
  ['chunks.0.frames.2.plain_size', 2 ** 31, /chunks\.0\.frames\.2\.plain_size: .*<=1073741824/],
  ['chunks.0.frames.2.size', 6, /the frames of chunk 0 add up to 5242886 bytes, but it has 5242887/],
  ['chunks.0.frames.0.plain_size', 9, /chunk 0 has a frame that is larger than its bytes can be/],
  ['chunks.0.parts', [hash], /chunk 0 lists 1 parts, which does not fit its frames/],
  ['chunks.0.parts', [hash, hash, hash], /chunk 0 lists 3 parts, which does not fit its frames/],
  ['stream', undefined, /it is encoded, but says nothing of its stream/],
  ['stream.bytes', 3, /its frames make 18874371 bytes, but stream\.bytes is 3/],
  ['sealed', undefined, /it is encrypted, but has no sealed digests/],
  ['sealed', 'not base64!', /sealed: is not base64/],
  ['codec.encrypt', 'none', /it has sealed digests, but is not encrypted/],
  ['codec', undefined, /chunk 0 has frames, but there is no codec|sealed/],
] as const) {
  test(`an encrypted manifest whose ${path} is ${JSON.stringify(value)?.slice(0, 40)} is damage (${says.source})`, () => {
    assert.match(
      refusal(set(structuredClone(encoded('zstd', 'age')) as unknown as Json, path, value)).message,
      says,
    );
  });
}

test('a compressed manifest needs the hash of its stream', () => {
  const manifest = set(
    structuredClone(encoded('zstd', 'none')) as unknown as Json,
    'stream.sha256',
    undefined,
  );
  assert.match(refusal(manifest).message, /stream\.sha256: is missing/);
});

test('a step of a codec that is not known is named, whatever its object is', () => {
  for (const codec of [undefined, null, PLAIN, { compress: 'zstd', encrypt: 'age', shuffle: 'none' }])
    assert.equal(unknownStep(codec), undefined);
  assert.deepEqual(unknownStep({ compress: 'none', encrypt: 'gpg' }), ['encrypt', 'gpg']);
  assert.deepEqual(unknownStep({ constructor: 'zstd' }), ['constructor', 'zstd']);
  assert.deepEqual(unknownStep('zstd'), ['codec', 'zstd']);
});

const sealedManifest = encoded('zstd', 'age');
const digests = {
  backup: identityOf(sealedManifest),
  stream: 'a'.repeat(64),
  chunks: ['b'.repeat(64), 'c'.repeat(64)],
  frames: [[hash, hash, hash], [hash]],
};

test('sealed digests name their backup, and each frame of it', () => {
  assert.deepEqual(parseSealed(JSON.stringify(digests), sealedManifest, 'k'), digests);
});

for (const [path, value, says] of [
  ['backup.subvolume', 'home', /of another backup: subvolume is home$/],
  ['backup.kind', 'full', /of another backup: kind is full/],
  ['backup.created_at', '20260101T020000Z', /of another backup: created_at is 20260101T020000Z/],
  ['backup.snapshot_uuid', uuidOf(7), /of another backup: snapshot_uuid is /],
  ['backup.parent_manifest', null, /of another backup: parent_manifest is null/],
  ['backup', undefined, /are not complete/],
  ['stream', 'x', /are not complete/],
  ['frames.0', [hash, 'x', hash], /are not complete/],
  ['frames.0', [hash, hash], /are of other chunks or frames/],
  ['frames', [[hash, hash, hash]], /are of other chunks or frames/],
  ['chunks', ['b'.repeat(64)], /are of other chunks or frames/],
] as const) {
  test(`sealed digests whose ${path} is ${JSON.stringify(value)?.slice(0, 30)} are damage`, () => {
    const changed = JSON.stringify(set(structuredClone(digests), path, value));
    assert.throws(
      () => parseSealed(changed, sealedManifest, 'k'),
      (error: ToolError) => {
        assert.equal(error.kind, 'damage');
        assert.match(error.message, /^manifest k cannot be used: its sealed digests/);
        assert.match(error.message, says);
        return true;
      },
    );
  });
}

test('sealed digests that are no JSON are damage', () => {
  assert.throws(() => parseSealed('{', sealedManifest, 'k'), { kind: 'damage', message: /are not JSON/ });
});
