import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DrillRecord, isConclusive, parseDrillRecord } from '../../../lib/core/format/drill-record.ts';
import { drillKey, drillsRoot, hostPrefixes, parseKey } from '../../../lib/core/format/names.ts';

const record: DrillRecord = {
  version: 1,
  subvolume: 'data',
  manifest_key: 'host/subvol/data/full/manifest-20261124T020000Z.json',
  created_at: '20261124T020000Z',
  backups: 1,
  bytes: 10,
  result: 'sound',
  proofs: ['every part matched'],
  problem: null,
  host: 'host',
  tool: { name: 'btrfs-to-s3', version: '0.1.0' },
  started_at: '2026-11-24T03:00:00.000Z',
  finished_at: '2026-11-24T04:00:00.000Z',
};

test('a record is read back, with fields of later versions left out', () => {
  assert.deepEqual(parseDrillRecord(JSON.stringify({ ...record, later: 1 })), record);
});

for (const [what, text] of [
  ['no JSON', '{'],
  ['another document', '{"version":1}'],
  ['another version', JSON.stringify({ ...record, version: 2 })],
  ['an unknown result', JSON.stringify({ ...record, result: 'fine' })],
  ['what a terminal obeys', JSON.stringify({ ...record, problem: '\u001b[31m' })],
  ['a time that is none', JSON.stringify({ ...record, started_at: 'yesterday' })],
] as const) {
  test(`${what} is no record`, () => assert.equal(parseDrillRecord(text), undefined));
}

test('only what was restored, or cannot be, says something of the backup', () => {
  const results = ['started', 'sound', 'damaged', 'failed'] as const;
  assert.deepEqual(
    results.filter((result) => isConclusive({ ...record, result })),
    ['sound', 'damaged'],
  );
});

test('the keys of drills are no keys of backups, and make no host', () => {
  const key = drillKey('fleet/host', 'subvol', '20261124T020000Z');
  assert.equal(key, 'fleet/host/drill/subvol/20261124T020000Z.json');
  assert.ok(key.startsWith(drillsRoot('fleet/host', 'subvol')));
  assert.equal(parseKey('fleet/host', key), undefined);
  assert.deepEqual(hostPrefixes('', [key]), []);
});
