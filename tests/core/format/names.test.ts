import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  endsAsSnapshotName,
  formatTimestamp,
  isSubvolumeName,
  manifestKeyOf,
  parseKey,
  parsePointInTime,
  parseSnapshotName,
  parseTimestamp,
  recoverScriptKey,
  recoveryTextKey,
  restoredSnapshotName,
  SubvolumeKeys,
  snapshotName,
  subvolumesRoot,
} from '../../../lib/core/format/names.ts';

const moment = fc
  .date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true })
  .map((date) => new Date(Math.floor(date.getTime() / 1000) * 1000));
const timestamp = moment.map(formatTimestamp);
const kind = fc.constantFrom('full' as const, 'incremental' as const);
const subvolume = fc
  .oneof(
    fc.stringMatching(/^[A-Za-z0-9._-]{1,40}$/),
    fc.constantFrom('a__b', '__', 'data__full', 'full', '-'),
  )
  .filter((name) => name !== '.' && name !== '..');
const prefix = fc.stringMatching(/^[a-z0-9 ü+-]{1,8}(\/[a-z0-9.]{2,8}x){0,2}$/);

test('a timestamp is the moment in UTC to the second', () => {
  assert.equal(formatTimestamp(new Date('2026-11-24T23:27:08.987+01:00')), '20261124T222708Z');
});

test('every moment comes back from its timestamp', () => {
  fc.assert(fc.property(moment, (date) => assert.deepEqual(parseTimestamp(formatTimestamp(date)), date)));
});

for (const text of [
  '',
  '20261301T000000Z',
  '20260001T000000Z',
  '20260230T000000Z',
  '20250229T000000Z',
  '20260101T240000Z',
  '20260101T006000Z',
  '20260101T000060Z',
  '20260101T000000',
  '20260101T000000z',
  '20260101 000000Z',
  ' 20260101T000000Z',
  '20260101T000000Z\n',
  '2026-01-01T00:00:00Z',
  '120260101T000000Z',
]) {
  test(`${JSON.stringify(text)} is not a timestamp`, () => assert.equal(parseTimestamp(text), undefined));
}

for (const [text, expected] of [
  ['20260102T030405Z', '2026-01-02T03:04:05Z'],
  ['2026-01-02', '2026-01-02T23:59:59Z'],
  ['2024-02-29', '2024-02-29T23:59:59Z'],
  ['2026-01-02T03:04', '2026-01-02T03:04:00Z'],
  ['2026-01-02 03:04:05', '2026-01-02T03:04:05Z'],
  ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05Z'],
  ['2026-01-02T03:04+02:00', '2026-01-02T01:04:00Z'],
  ['2026-01-01T23:30-01:00', '2026-01-02T00:30:00Z'],
  [' 2026-01-02 ', '2026-01-02T23:59:59Z'],
] as const) {
  test(`the point in time "${text}" is ${expected}`, () => {
    assert.deepEqual(parsePointInTime(text), new Date(expected));
  });
}

for (const text of [
  '',
  'yesterday',
  '2026',
  '2026-01',
  '2026-13-01',
  '2026-00-10',
  '2026-02-30',
  '2025-02-29T10:00',
  '2026-01-02T25:00',
  '2026-01-02T03',
  '2026-01-02T03:60',
  '2026-01-02T03:04+0200',
  '2026-1-2',
  '20260230T000000Z',
  '1767225600',
]) {
  test(`"${text}" is not a point in time`, () => assert.equal(parsePointInTime(text), undefined));
}

for (const [name, expected] of [
  ['data', true],
  ['a.b_c-D9', true],
  ['...', true],
  ['-', true],
  ['a'.repeat(200), true],
  ['', false],
  ['.', false],
  ['..', false],
  ['a/b', false],
  ['a b', false],
  ['ä', false],
  ['a\n', false],
  ['a'.repeat(201), false],
] as const) {
  test(`${JSON.stringify(name)} is ${expected ? 'a' : 'no'} subvolume name`, () => {
    assert.equal(isSubvolumeName(name), expected);
  });
}

test('keys are laid out as documented', () => {
  const keys = new SubvolumeKeys('host/x', 'data');
  assert.equal(
    keys.chunk('full', '20260101T000000Z', 7),
    'host/x/subvol/data/full/chunk-20260101T000000Z-00007.bin',
  );
  assert.equal(
    keys.chunk('incremental', '20260101T000000Z', 123_456),
    'host/x/subvol/data/incremental/chunk-20260101T000000Z-123456.bin',
  );
  assert.equal(
    keys.manifest('full', '20260101T000000Z'),
    'host/x/subvol/data/full/manifest-20260101T000000Z.json',
  );
  assert.equal(keys.current, 'host/x/subvol/data/current.json');
  assert.equal(subvolumesRoot('host/x'), 'host/x/subvol/');
  assert.equal(recoveryTextKey('host/x'), 'host/x/RESTORE.txt');
  assert.equal(recoverScriptKey('host/x'), 'host/x/recover.sh');
});

test('every key is read back into what it names', () => {
  fc.assert(
    fc.property(prefix, subvolume, kind, timestamp, fc.nat(99_999_999), (root, name, folder, time, index) => {
      const keys = new SubvolumeKeys(root, name);
      const named = { subvolume: name, kind: folder, timestamp: time };
      assert.deepEqual(parseKey(root, keys.chunk(folder, time, index)), { type: 'chunk', ...named, index });
      assert.deepEqual(parseKey(root, keys.manifest(folder, time)), { type: 'manifest', ...named });
      assert.deepEqual(parseKey(root, keys.current), { type: 'current', subvolume: name });
    }),
  );
});

test('a key is read only under its own prefix', () => {
  fc.assert(
    fc.property(prefix, prefix, subvolume, (root, other, name) => {
      fc.pre(root !== other);
      assert.equal(parseKey(other, new SubvolumeKeys(root, name).current), undefined);
    }),
  );
});

test('chunk numbers may be unpadded', () => {
  assert.deepEqual(parseKey('p', 'p/subvol/data/full/chunk-20260101T000000Z-0.bin'), {
    type: 'chunk',
    subvolume: 'data',
    kind: 'full',
    timestamp: '20260101T000000Z',
    index: 0,
  });
});

test('a file index, encrypted or not, is distinguished from a manifest and a chunk', () => {
  for (const ending of ['ndjson.zst', 'ndjson.zst.age']) {
    assert.deepEqual(parseKey('p', `p/subvol/data/incremental/index-20260101T000000Z.${ending}`), {
      type: 'index',
      subvolume: 'data',
      kind: 'incremental',
      timestamp: '20260101T000000Z',
    });
  }
});

test('the signature of a manifest is distinguished from the manifest', () => {
  const keys = new SubvolumeKeys('p', 'data');
  const key = keys.signature('full', '20260101T000000Z');
  assert.equal(key, `${keys.manifest('full', '20260101T000000Z')}.sig`);
  const named = { subvolume: 'data', kind: 'full', timestamp: '20260101T000000Z' };
  assert.deepEqual(parseKey('p', key), { type: 'signature', ...named });
});

test('chunk, index, signature and manifest of a backup lead to the same manifest, and nothing else does', () => {
  const root = 'p/subvol/data/full';
  const manifest = `${root}/manifest-20260101T000000Z.json`;
  for (const name of [
    'chunk-20260101T000000Z-0.bin',
    'chunk-20260101T000000Z-00007.bin',
    'index-20260101T000000Z.ndjson.zst',
    'index-20260101T000000Z.ndjson.zst.age',
    'manifest-20260101T000000Z.json',
    'manifest-20260101T000000Z.json.sig',
  ]) {
    assert.equal(manifestKeyOf('p', `${root}/${name}`), manifest);
  }
  for (const key of ['p/subvol/data/current.json', 'p/RESTORE.txt', `${root}/chunk-0.bin`, 'q']) {
    assert.equal(manifestKeyOf('p', key), undefined);
  }
});

for (const key of [
  '',
  'p/',
  'p/subvol/',
  'p/subvol/data',
  'p/subvol/data/',
  'p/subvol/data/current.json/',
  'p/subvol/data/full',
  'p/subvol/data/full/',
  'p/subvol/data/full/current.json',
  'p/subvol/data/inc/manifest-20260101T000000Z.json',
  'p/subvol/data/full/manifest-20261301T000000Z.json',
  'p/subvol/data/full/manifest-20260101T000000Z.json.bak',
  'p/subvol/data/full/manifest-20260101T000000Z.json/x',
  'p/subvol/data/full/chunk-20260101T000000Z.bin',
  'p/subvol/data/full/chunk-20260101T000000Z--1.bin',
  'p/subvol/data/full/chunk-20260101T000000Z-0.json',
  'p/subvol/data/full/manifest-20260101T000000Z-0.json',
  'p/subvol/data/full/manifest-20260101T000000Z.bin',
  'p/subvol/data/full/index-20260101T000000Z.json',
  'p/subvol/data/full/chunk-20260101T000000Z-0.json.sig',
  'p/subvol/data/full/manifest-20260101T000000Z-0.json.sig',
  'p/subvol/data/full/manifest-20260101T000000Z.jsonXsig',
  'p/subvol/data/full/index-20260101T000000Z-0.ndjson.zst',
  'p/subvol/data/full/index-20260101T000000Z.ndjsonXzst',
  'p/subvol/data/full/index-20260101T000000Z.ndjson.age',
  'p/subvol/data/full/manifest-20260101T000000Z.json.age',
  'p/subvol/data/full/chunk-20260101T000000Z-123456789.bin',
  'p/subvol/../full/manifest-20260101T000000Z.json',
  'p/subvol//current.json',
  'p/subvol/a b/current.json',
  'P/subvol/data/current.json',
  '/p/subvol/data/current.json',
  'q/p/subvol/data/current.json',
  'p/RESTORE.txt',
  'p/recover.sh',
  'p/subvol/../../p/subvol/data/current.json',
  'px/subvol/data/current.json',
]) {
  test(`"${key}" is none of our keys`, () => assert.equal(parseKey('p', key), undefined));
}

test('snapshot names are laid out as documented', () => {
  assert.equal(snapshotName('data', '20260101T000000Z', 'full'), 'data__20260101T000000Z__full');
  assert.equal(snapshotName('data', '20260101T000000Z', 'incremental'), 'data__20260101T000000Z__inc');
});

test('every snapshot name is read back, and only by its own subvolume', () => {
  const related = subvolume.chain((name) =>
    fc.tuple(
      fc.constant(name),
      fc.oneof(
        subvolume,
        subvolume.map((rest) => `${name}__${rest}`),
      ),
    ),
  );
  fc.assert(
    fc.property(related, timestamp, kind, ([name, other], time, folder) => {
      const snapshot = snapshotName(other, time, folder);
      assert.deepEqual(parseSnapshotName(other, snapshot), { timestamp: time, kind: folder });
      if (name !== other) assert.equal(parseSnapshotName(name, snapshot), undefined);
    }),
  );
});

test('the copy that a restore leaves is read as a snapshot of its backup, and has a free name', () => {
  const names = [0, 1, 2].map((count) =>
    restoredSnapshotName('data', '20260101T000000Z', 'incremental', count),
  );
  assert.deepEqual(names, [
    'data__20260101T000000Z__inc',
    'data__20260101T000000Z__inc__restored',
    'data__20260101T000000Z__inc__restored-2',
  ]);
  for (const name of names) {
    assert.deepEqual(parseSnapshotName('data', name), {
      timestamp: '20260101T000000Z',
      kind: 'incremental',
    });
    assert.equal(endsAsSnapshotName(`snapshots/${name}`), true);
  }
  assert.equal(endsAsSnapshotName('photos__2026'), false);
});

for (const name of [
  'data',
  'data__',
  'data__20260101T000000Z__inc__restored-',
  'data__20260101T000000Z__inc__restored2',
  'data__20260101T000000Z',
  'data__20260101T000000Z__',
  'data__20260101T000000Z__incremental',
  'data__20260101T000000Z__full.bak',
  'data__20261301T000000Z__full',
  'data_20260101T000000Z__full',
  'xdata__20260101T000000Z__full',
  'data__2__20260101T000000Z__full',
]) {
  test(`"${name}" is no snapshot of data`, () => assert.equal(parseSnapshotName('data', name), undefined));
}
