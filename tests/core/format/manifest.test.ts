import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { MAX_PARTS } from '../../../lib/core/format/frames.ts';
import {
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseManifest,
  serialiseDocument,
  streamUuid,
} from '../../../lib/core/format/manifest.ts';
import { incremental, set } from '../changed-manifest.ts';
import {
  dayStamp,
  keyOfDay,
  keys,
  manifestOfDay,
  otherKey,
  pointer,
  prefix,
  pythonManifest,
  uuidOf,
} from '../samples.ts';

const pythonKey = keys.manifest('full', '20260101T000000Z');

/** The error that a manifest found at the key of day 2 gives; fails when it gives none. */
function refusal(manifest: unknown, key = keyOfDay(2)): ToolError {
  try {
    parseManifest(JSON.stringify(manifest), key, prefix);
  } catch (error) {
    assert.ok(error instanceof ToolError, String(error));
    return error;
  }
  assert.fail('it was accepted');
}

test('a manifest with every optional field is accepted as it is', () => {
  for (const day of [1, 2]) {
    const manifest = manifestOfDay(day);
    assert.deepEqual(parseManifest(serialiseDocument(manifest), keyOfDay(day), prefix), manifest);
  }
});

test('as many parts as a backup may have, in as many chunks, make a manifest that is read', () => {
  const bytesOf = (chunks: Manifest['chunks']) => serialiseDocument({ ...manifestOfDay(1), chunks }).length;
  const [chunk] = manifestOfDay(1).chunks;
  assert.ok(chunk);
  const parts = Array.from({ length: 1001 }, () => `${'A'.repeat(43)}=`);
  const perPart = (bytesOf([{ ...chunk, parts }]) - bytesOf([{ ...chunk, parts: parts.slice(0, 1) }])) / 1000;
  const key = 'k'.repeat(500);
  const perChunk = bytesOf([chunk, { ...chunk, key, parts: [] }]) - bytesOf([chunk]);
  assert.ok(MAX_PARTS * perPart + 100_000 * perChunk < MAX_MANIFEST_BYTES, `${perPart} and ${perChunk}`);
});

test('a manifest of the Python tool is accepted as it is: no UUID, unpadded chunk numbers', () => {
  const manifest = pythonManifest();
  assert.deepEqual(parseManifest(JSON.stringify(manifest), pythonKey, prefix), manifest);
});

for (const path of [
  'snapshot.parent_uuid',
  'snapshot.generation',
  'snapshot.received_uuid',
  'chunks.0.etag',
  'chunks.1.part_size',
  'chunks.0.parts',
  'chunks.0.checksum',
  's3.bucket',
  's3.region',
  's3.sse',
  's3.storage_class',
  'stream',
  'codec',
  'host',
  'tool',
  'timing',
]) {
  test(`a manifest may lack ${path}`, () => {
    const manifest = set(incremental(), path, undefined);
    assert.deepEqual(parseManifest(JSON.stringify(manifest), keyOfDay(2), prefix), manifest);
  });
}

test('unknown fields are ignored', () => {
  const manifest = set(
    set(set(incremental(), 'future', { a: 1 }), 'chunks.0.future', 1),
    'snapshot.future',
    [],
  );
  assert.deepEqual(parseManifest(JSON.stringify(manifest), keyOfDay(2), prefix), manifestOfDay(2));
});

for (const path of [
  'version',
  'subvolume',
  'kind',
  'created_at',
  'snapshot',
  'snapshot.name',
  'snapshot.path',
  'snapshot.uuid',
  'parent_manifest',
  'chunks',
  'chunks.0.key',
  'chunks.0.size',
  'chunks.0.sha256',
  'total_bytes',
  'chunk_size',
  's3',
]) {
  test(`a manifest without ${path} is damage, and the field is named`, () => {
    const error = refusal(set(incremental(), path, undefined));
    assert.equal(error.kind, 'damage');
    assert.equal(error.message.split(': ')[0], `manifest ${keyOfDay(2)} cannot be used`);
    assert.match(error.message, new RegExp(`[ ;]${path.replaceAll('.', '\\.')}(\\.\\w+)?: `));
  });
}

const hash = `${'A'.repeat(43)}=`;

for (const [path, value, message] of [
  ['version', 2, /it is of version 2, which btrfs-to-s3 \S+ cannot read; btrfs-to-s3 0\.1\.0 wrote it$/],
  ['codec.compress', 'lz4', /it uses compress = "lz4", which btrfs-to-s3 \S+ cannot read; btrfs-to-s3/],
  ['codec.encrypt', 'gpg', /it uses encrypt = "gpg", which/],
  ['codec.compress', 'zstd', /chunk 0 is encoded, but lists no frames/],
  ['codec.shuffle', 3, /it uses shuffle = 3, which/],
  ['codec', 'zstd', /it uses codec = "zstd", which/],
  ['snapshot.transid', -1, /snapshot\.transid: /],
  ['snapshot.nested', [{ path: 'a' }], /snapshot\.nested\.0\.uuid: /],
  ['version', 0, /version: .*expected 1/],
  ['version', 1.5, /version: .*expected 1/],
  ['version', '1', /version: .*expected 1/],
  ['subvolume', '..', /subvolume: is not a subvolume name/],
  ['subvolume', 'a/b', /subvolume: is not a subvolume name/],
  ['subvolume', 'home', /it names another subvolume, "home"/],
  ['kind', 'differential', /kind: .*"full"\|"incremental"/],
  ['created_at', dayStamp(1), /it says 20260101T020000Z but its key says 20260102T020000Z/],
  ['kind', 'full', /it says full but lies under incremental\//],
  ['created_at', '20260230T000000Z', /created_at: is not YYYYMMDDTHHMMSSZ/],
  ['created_at', '2026-01-02T02:00:00Z', /created_at: is not YYYYMMDDTHHMMSSZ/],
  ['snapshot.name', '../../etc', /snapshot\.name: is not a snapshot name/],
  ['snapshot.name', '..', /snapshot\.name: is not a snapshot name/],
  ['snapshot.name', '.', /snapshot\.name: is not a snapshot name/],
  ['snapshot.name', '', /snapshot\.name: is not a snapshot name/],
  ['snapshot.name', 'a\0b', /snapshot\.name: is not a snapshot name/],
  ['snapshot.name', 'a\nb', /snapshot\.name: is not a snapshot name/],
  ['snapshot.name', '\u001b[2J', /snapshot\.name: is not a snapshot name/],
  ['snapshot.name', 'a/b', /snapshot\.name: is not a snapshot name/],
  ['snapshot.name', 'n'.repeat(256), /snapshot\.name: is not a snapshot name/],
  ['snapshot.path', `/${'p'.repeat(4096)}`, /snapshot\.path: .*4096/],
  ['snapshot.uuid', 'x', /snapshot\.uuid: is not a UUID/],
  ['snapshot.parent_uuid', `${uuidOf(1)}0`, /snapshot\.parent_uuid: is not a UUID/],
  ['snapshot.received_uuid', '-', /snapshot\.received_uuid: is not a UUID/],
  ['snapshot.generation', -1, /snapshot\.generation: .*>=0/],
  ['parent_manifest', null, /it is incremental but names no parent/],
  ['parent_manifest', '', /parent_manifest: /],
  ['parent_manifest', 'k'.repeat(1025), /parent_manifest: .*1024/],
  [
    'parent_manifest',
    keys.current,
    /its parent .*current\.json is not a manifest of this subvolume under home-server/,
  ],
  [
    'parent_manifest',
    keys.chunk('full', dayStamp(1), 0),
    /its parent .* is not a manifest of this subvolume/,
  ],
  [
    'parent_manifest',
    otherKey(`full/manifest-${dayStamp(1)}.json`),
    /its parent .* is not a manifest of this subvolume/,
  ],
  ['parent_manifest', `else/${keyOfDay(1)}`, /its parent .* is not a manifest of this subvolume/],
  ['chunks', [], /chunks: .*>=1/],
  ['chunks', {}, /chunks: .*expected array/],
  ['chunks.1.key', 'etc/passwd', /chunk 1 has the key etc\/passwd, which is not a chunk of this backup/],
  ['chunks.1.key', keyOfDay(1), /chunk 1 has the key .* which is not a chunk of this backup/],
  [
    'chunks.1.key',
    otherKey(`full/chunk-${dayStamp(2)}-00001.bin`),
    /chunk 1 has the key .* not a chunk of this backup/,
  ],
  ['chunks.1.key', keys.chunk('incremental', dayStamp(2), 0), /chunk 1 has the key of chunk 0/],
  ['chunks.0.key', keys.chunk('incremental', dayStamp(2), 1), /chunk 1 has the key of chunk 1/],
  ['chunks.0.size', 0, /chunks\.0\.size: .*>0/],
  ['chunks.0.size', 2.5, /chunks\.0\.size: .*int/],
  ['chunks.0.size', '2500', /chunks\.0\.size: .*expected number/],
  ['chunks.0.size', 50_000 * 2 ** 30 + 1, /chunks\.0\.size: .*<=53687091200000/],
  ['chunks.0.size', 2501, /its chunks add up to 3001 bytes, but total_bytes is 3000/],
  ['chunks.0.sha256', 'A'.repeat(64), /chunks\.0\.sha256: is not a SHA-256 in lower-case hex/],
  ['chunks.0.sha256', 'a'.repeat(63), /chunks\.0\.sha256: is not a SHA-256 in lower-case hex/],
  ['chunks.0.size', -1, /chunks\.0\.size: .*>0/],
  ['chunks.0.size', 1e308, /chunks\.0\.size: /],
  ['chunks.0.size', 2 ** 53, /chunks\.0\.size: /],
  ['chunks.0.etag', '\u001b]0;x\u0007', /chunks\.0\.etag: contains a control character/],
  ['chunks.0.checksum', '\u009b2J', /chunks\.0\.checksum: contains a control character/],
  ['chunks.0.key', 'a\nb', /chunks\.0\.key: contains a control character/],
  ['chunks.0.key', `${keys.root}full/../full/chunk-${dayStamp(2)}-00000.bin`, /chunk 0 has the key/],
  ['chunks.0.key', `${keys.root}incremental/chunk-${dayStamp(2)}-\ud800.bin`, /chunk 0 has the key/],
  ['chunks.0.key', `../${keys.root}full/chunk-${dayStamp(2)}-00000.bin`, /chunk 0 has the key/],
  ['s3.storage_class', 'a\rb', /s3\.storage_class: contains a control character/],
  ['host', '\u001b[31m', /host: contains a control character/],
  ['host', 'h'.repeat(257), /host: .*256/],
  ['codec.compress', '\u0007', /it uses compress = "\\u0007", which/],
  ['tool.version', '1\n2', /tool\.version: contains a control character/],
  ['chunks.0.etag', 'e'.repeat(1025), /chunks\.0\.etag: .*1024/],
  ['chunks.0.part_size', 0, /chunks\.0\.part_size: .*>0/],
  ['chunks.0.part_size', 5 * 2 ** 30 + 1, /chunks\.0\.part_size: .*<=5368709120/],
  ['chunks.0.part_size', 500, /chunk 0 lists 3 parts, which does not fit its size/],
  ['chunks.0.part_size', undefined, /chunk 0 lists 3 parts, which does not fit its size/],
  ['chunks.0.parts', [], /chunks\.0\.parts: .*>=1/],
  ['chunks.0.parts', [hash, hash], /chunk 0 lists 2 parts, which does not fit its size/],
  ['chunks.0.parts', [hash, 'x', hash], /chunks\.0\.parts\.1: is not a SHA-256 in base64/],
  ['chunks.0.parts', Array(10_001).fill(hash), /chunks\.0\.parts: .*<=10000/],
  ['chunks.0.checksum', 'c'.repeat(257), /chunks\.0\.checksum: .*256/],
  ['chunks.0.frames', [{ size: 2500, plain_size: 9 }], /chunk 0 has frames, but there is no codec/],
  ['sealed', 'AAAA', /it has sealed digests, but is not encrypted/],
  ['stream.sha256', undefined, /stream\.sha256: is missing/],
  ['total_bytes', 0, /total_bytes: .*>0/],
  ['total_bytes', 1e300, /total_bytes: /],
  ['total_bytes', 2999, /its chunks add up to 3000 bytes, but total_bytes is 2999/],
  ['chunk_size', 0, /chunk_size: .*>0/],
  ['s3.storage_class', 's'.repeat(65), /s3\.storage_class: .*64/],
  ['stream.sha256', 'x', /stream\.sha256: is not a SHA-256/],
  ['stream.protocol', 0, /stream\.protocol: .*>=1/],
  ['stream.bytes', -1, /stream\.bytes: .*>=0/],
  ['stream.compressed_data', 'yes', /stream\.compressed_data: .*boolean/],
] as const) {
  test(`a manifest whose ${path} is ${JSON.stringify(value)?.slice(0, 60)} is damage (${message.source})`, () => {
    const error = refusal(set(incremental(), path, value));
    assert.equal(error.kind, 'damage');
    assert.equal(error.message.split(': ')[0], `manifest ${keyOfDay(2)} cannot be used`);
    assert.match(error.message, message);
    assert.match(error.hint ?? '', /cannot read/.test(error.message) ? /^update btrfs-to-s3/ : /make verify/);
  });
}

test('a full backup that names a parent is damage', () => {
  const manifest = set(structuredClone(pythonManifest()), 'parent_manifest', keyOfDay(1));
  assert.match(refusal(manifest, pythonKey).message, /it is full but has a parent/);
});

for (const key of [
  keys.current,
  keys.chunk('incremental', dayStamp(2), 0),
  keyOfDay(2).replace(prefix, 'other'),
  `${keyOfDay(2)}.bak`,
]) {
  test(`a manifest found at ${key} is damage`, () => {
    assert.match(
      refusal(incremental(), key).message,
      /its key is not a manifest's under home-server\/btrfs\/$/,
    );
  });
}

test('three of many faults are named', () => {
  const { message } = refusal({});
  assert.equal(message.split('; ').length, 3);
  assert.match(message, /version: .*; subvolume: .*; kind: /);
});

test('JSON that is not an object is damage', () => {
  for (const value of [null, 1, 'x', true, []]) assert.match(refusal(value).message, /cannot be used: it: /);
});

test('a chunk that is one part of more than S3 allows is damage, because a part is held in memory', () => {
  const size = 5 * 2 ** 30 + 1;
  const changed = set(set(incremental(), 'chunks.0.size', size), 'chunks.0.part_size', undefined);
  const { message } = refusal(set(set(changed, 'chunks.0.parts', [hash]), 'total_bytes', size + 500));
  assert.match(message, /chunk 0 is one part of more than 5 GiB/);
});

test('a manifest of a later version is reported as such, whatever else it says', () => {
  for (const [version, others] of [
    [2, {}],
    [3, incremental()],
    [99, { chunks: 'in another way' }],
  ] as const) {
    const { message, problem } = refusal({ ...others, version });
    assert.match(message, new RegExp(`it is of version ${version}, which btrfs-to-s3 \\S+ cannot read`));
    assert.match(problem, /^cannot be used: it is of version/);
  }
});

test('documents are stored indented, with a final line break', () => {
  assert.equal(
    serialiseDocument(pointer),
    `{\n  "manifest_key": "${keyOfDay(2)}",\n  "kind": "incremental",\n  "created_at": "${dayStamp(2)}"\n}\n`,
  );
});

test('a received snapshot is known by its received UUID, any other by its own', () => {
  const { snapshot } = manifestOfDay(1);
  assert.equal(streamUuid({ ...snapshot, received_uuid: uuidOf(9) }), uuidOf(9));
  assert.equal(streamUuid({ ...snapshot, received_uuid: null }), uuidOf(1));
  assert.equal(streamUuid({ ...snapshot, received_uuid: undefined }), uuidOf(1));
  assert.equal(streamUuid({ ...snapshot, uuid: null }), null);
});
