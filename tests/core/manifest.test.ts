import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ToolError } from '../../lib/core/errors.ts';
import { parseManifest, parsePointer, serialiseDocument, streamUuid } from '../../lib/core/manifest.ts';
import { runs } from '../support/fuzz.ts';
import { dayStamp, keyOfDay, keys, manifestOfDay, prefix, pythonManifest, uuidOf } from './samples.ts';

/** A JSON object of which tests change whatever they like. */
type Json = Record<string, unknown>;

const incremental = () => structuredClone(manifestOfDay(2)) as unknown as Json;
const pythonKey = keys.manifest('full', '20260101T000000Z');
const pointerKey = keys.current;
const pointer = { manifest_key: keyOfDay(2), kind: 'incremental', created_at: dayStamp(2) } as const;

/** Sets `chunks.0.size` and the like; undefined removes the field. */
function set(target: Json, path: string, value: unknown): Json {
  const names = path.split('.');
  const last = names.pop() ?? '';
  const owner = names.reduce((at, name) => at[name] as Json, target);
  if (value === undefined) delete owner[last];
  else owner[last] = value;
  return target;
}

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
  'chunks.0.plain_size',
  'chunks.0.plain_sha256',
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

const otherKey = (key: string) => `${prefix}/subvol/home/${key}`;
const hash = `${'A'.repeat(43)}=`;

for (const [path, value, message] of [
  ['version', 2, /it is of version 2, which needs a newer version of btrfs-to-s3$/],
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
  ['chunks.0.size', 5 * 2 ** 40 + 1, /chunks\.0\.size: .*<=5497558138880/],
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
  ['codec.compress', '\u0007', /codec\.compress: contains a control character/],
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
  ['chunks.0.plain_size', -1, /chunks\.0\.plain_size: .*>=0/],
  ['chunks.0.plain_sha256', 'x', /chunks\.0\.plain_sha256: is not a SHA-256/],
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
    assert.match(error.hint ?? '', /make verify/);
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

test('text that is not JSON is damage, and the cause is kept', () => {
  for (const text of ['', '{', 'null x', '\uFEFF{}', '<Error/>']) {
    assert.throws(
      () => parseManifest(text, keyOfDay(2), prefix),
      (error) => {
        assert.ok(error instanceof ToolError, String(error));
        assert.equal(error.kind, 'damage');
        assert.match(error.message, /it is not JSON$/);
        return error.cause instanceof SyntaxError;
      },
    );
  }
});

test('JSON that is not an object is damage', () => {
  for (const value of [null, 1, 'x', true, []]) assert.match(refusal(value).message, /cannot be used: it: /);
});

/** Fails unless the act returns or throws a ToolError of kind damage. */
function onlyDamage(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.kind, 'damage');
  }
}

test('nothing but a ToolError is thrown, whatever the text is', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), fc.string(), (text, key) => {
      onlyDamage(() => parseManifest(text, key, prefix));
      onlyDamage(() => parsePointer(text, key));
    }),
  );
});

const paths = fc.constantFrom(
  'version',
  'subvolume',
  'kind',
  'created_at',
  'snapshot',
  'snapshot.name',
  'snapshot.uuid',
  'parent_manifest',
  'chunks',
  'chunks.0',
  'chunks.1.key',
  'chunks.0.size',
  'chunks.0.parts',
  'chunks.0.part_size',
  'total_bytes',
  's3',
  'stream',
  'timing',
  '__proto__',
  'constructor',
);

test('nothing but a ToolError is thrown, whatever stands in one field', () => {
  fc.assert(
    fc.property(paths, fc.jsonValue(), (path, value) => {
      onlyDamage(() => parseManifest(JSON.stringify(set(incremental(), path, value)), keyOfDay(2), prefix));
    }),
    { numRuns: 500 },
  );
});

test('very deep JSON is damage and does not overflow the stack', () => {
  const text = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  assert.throws(() => parseManifest(text, keyOfDay(2), prefix), { kind: 'damage' });
});

test('what would take up gigabytes once it is read is damage, and is not read', () => {
  for (const [what, text] of [
    ['arrays', `[${'[],'.repeat(1_000_001)}1]`],
    ['objects', `{"version":1,"chunks":[${'{},'.repeat(1_000_001)}{}]}`],
    ['numbers', `{"version":1,"chunks":[${'1,'.repeat(7_000_001)}1]}`],
  ] as const) {
    assert.throws(() => parseManifest(text, keyOfDay(2), prefix), /it holds more values than/, what);
  }
});

test('a pointer is read, unknown fields ignored', () => {
  assert.deepEqual(parsePointer(JSON.stringify({ ...pointer, more: 1 }), pointerKey), pointer);
});

test('a chunk that is one part of more than S3 allows is damage, because a part is held in memory', () => {
  const size = 5 * 2 ** 30 + 1;
  const changed = set(set(incremental(), 'chunks.0.size', size), 'chunks.0.part_size', undefined);
  const { message } = refusal(set(set(changed, 'chunks.0.parts', [hash]), 'total_bytes', size + 500));
  assert.match(message, /chunk 0 is one part of more than 5 GiB/);
});

test('a manifest of a later version is told as such, whatever else it says', () => {
  for (const [version, others] of [
    [2, {}],
    [3, incremental()],
    [99, { chunks: 'in another way' }],
  ] as const) {
    const { message, problem } = refusal({ ...others, version });
    assert.match(
      message,
      new RegExp(`it is of version ${version}, which needs a newer version of btrfs-to-s3`),
    );
    assert.match(problem, /^cannot be used: it is of version/);
  }
});

test('of a key that is there twice, the last counts, and is held to the same rules', () => {
  const text = JSON.stringify(incremental());
  const twice = (field: string, value: unknown) =>
    `${text.slice(0, -1)},${JSON.stringify(field)}:${JSON.stringify(value)}}`;
  assert.deepEqual(parseManifest(twice('total_bytes', 3000), keyOfDay(2), prefix), manifestOfDay(2));
  onlyRefused(() => parseManifest(twice('total_bytes', 1), keyOfDay(2), prefix), /total_bytes is 1$/);
  onlyRefused(() => parseManifest(twice('subvolume', 'home'), keyOfDay(2), prefix), /another subvolume/);
});

test('a key of an object prototype is a field like any other, and changes nothing', () => {
  const text = JSON.stringify(incremental());
  for (const field of ['__proto__', 'constructor', 'toString']) {
    const more = `${text.slice(0, -1)},"${field}":{"polluted":true}}`;
    assert.equal('polluted' in parseManifest(more, keyOfDay(2), prefix), false);
    assert.equal('polluted' in {}, false);
  }
});

function onlyRefused(act: () => unknown, message: RegExp): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.kind, 'damage');
    return message.test(error.message);
  });
}

/** Text of every sort that JSON can carry and a terminal obeys. */
const nastyText = fc.string({
  unit: fc.constantFrom(
    '\u001b',
    '[2J',
    '\n',
    '\r',
    '\0',
    '\u007f',
    '\u009b',
    '\u0007',
    'a',
    '"',
    '..',
    '/',
    '\ud800',
  ),
});

test('no message about a manifest or a pointer carries what a terminal obeys', () => {
  const names = [
    'subvolume',
    'kind',
    'created_at',
    'snapshot.name',
    'snapshot.uuid',
    'parent_manifest',
    'host',
  ];
  const more = ['chunks.0.key', 'chunks.1.sha256', 'chunks.0.etag', 's3.storage_class', 'version', 'a\u001b'];
  fc.assert(
    fc.property(fc.constantFrom(...names, ...more), nastyText, (path, value) => {
      for (const act of [
        () => parseManifest(JSON.stringify(set(incremental(), path, value)), keyOfDay(2), prefix),
        () => parsePointer(JSON.stringify({ ...pointer, manifest_key: value }), pointerKey),
        () => parsePointer(JSON.stringify({ ...pointer, kind: value, created_at: value }), pointerKey),
      ]) {
        try {
          act();
        } catch (error) {
          assert.ok(error instanceof ToolError, String(error));
          assert.doesNotMatch(`${error.message}${error.problem}`, /\p{Cc}/u);
        }
      }
    }),
    runs(500),
  );
});

for (const [fields, message] of [
  [{ manifest_key: keyOfDay(1) }, /it names .*full\/manifest.*, which is not the incremental backup of/],
  [{ manifest_key: keyOfDay(3) }, /it names .*, which is not the incremental backup of/],
  [{ manifest_key: otherKey(`incremental/manifest-${dayStamp(2)}.json`) }, /it names .*subvol\/home\//],
  [{ manifest_key: `else/${keyOfDay(2)}` }, /it names else\//],
  [{ manifest_key: `${keys.root}../data/incremental/manifest-${dayStamp(2)}.json` }, /it names .*\.\./],
  [{ manifest_key: keys.chunk('incremental', dayStamp(2), 0) }, /it names .*chunk-/],
  [{ kind: 'full' }, /which is not the full backup/],
  [{ created_at: '99991231T235959Z' }, /backup of 99991231T235959Z/],
  [{ manifest_key: 'a\u001b' }, /manifest_key: contains a control character/],
  [{ manifest_key: '' }, /manifest_key: /],
  [{ manifest_key: 'k'.repeat(1025) }, /manifest_key: /],
  [{ manifest_key: undefined }, /manifest_key: /],
  [{ kind: 'inc' }, /kind: /],
  [{ created_at: 'now' }, /created_at: is not YYYYMMDDTHHMMSSZ/],
] as const) {
  test(`a pointer with ${JSON.stringify(fields).slice(0, 60)} is damage (${message.source})`, () => {
    const text = JSON.stringify({ ...pointer, ...fields });
    assert.throws(
      () => parsePointer(text, pointerKey),
      (error) => {
        assert.ok(error instanceof ToolError, String(error));
        assert.equal(error.kind, 'damage');
        assert.equal(error.message.split(': ')[0], `pointer ${pointerKey} cannot be used`);
        return message.test(error.message);
      },
    );
  });
}

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
