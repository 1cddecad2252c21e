/** Manifests and pointers by an attacker: nothing is thrown but damage, and nothing a terminal obeys is said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ToolError } from '../../../lib/core/errors.ts';
import { MAX_MANIFEST_BYTES, parseManifest, parsePointer } from '../../../lib/core/format/manifest.ts';
import { runs } from '../../support/fuzz.ts';
import { incremental, set } from '../changed-manifest.ts';
import { keyOfDay, manifestOfDay, pointer, pointerKey, prefix } from '../samples.ts';

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
    ['arrays', `[${'[],'.repeat(2_000_001)}1]`],
    ['objects', `{"version":1,"chunks":[${'{},'.repeat(2_000_001)}{}]}`],
    ['bytes', `{"version":1${' '.repeat(MAX_MANIFEST_BYTES)}}`],
    ['numbers', `{"version":1,"chunks":[${'1,'.repeat(7_000_001)}1]}`],
  ] as const) {
    assert.throws(() => parseManifest(text, keyOfDay(2), prefix), /it holds more values than/, what);
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
