/** The document of `make list JSON=1`: what docs/json.md says of it is what it has. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostsReport, listReport, pointerProblems } from '../../../lib/cli/reports/list-report.ts';
import { ToolError } from '../../../lib/core/errors.ts';
import { thawProgress } from '../../../lib/core/thaw/thaw-plan.ts';
import type { ListedBackup } from '../../../lib/stage/bucket/list.ts';
import { repositoryRoot } from '../../../testing/harness/test-directory.ts';

const archived = { archive: 'GLACIER' } as const;
const usual: ListedBackup = {
  subvolume: 'data',
  created_at: '20260101T020000Z',
  kind: 'full',
  manifest_key: 'fleet/a/subvol/data/full/manifest-20260101T020000Z.json',
  parent_manifest: null,
  bytes: 2000,
  chunks: 2,
  storage_class: 'GLACIER',
  current: true,
  restorability: {
    thaw: thawProgress([
      {
        key: 'one',
        sizeBytes: 1000,
        state: { ...archived, kind: 'thawed', expiresAtMs: Date.UTC(2026, 0, 2) },
      },
      { key: 'two', sizeBytes: 1000, state: { ...archived, kind: 'cold' } },
    ]),
    doubt: undefined,
  },
};
const broken: ListedBackup = {
  ...usual,
  current: false,
  restorability: { whyNot: 'is no JSON' },
  problem: 'is no JSON',
};
const prices = {
  date: '2026-11',
  source: 'x',
  classes: { GLACIER: { storage_gib_month: 0.0036 } },
};

test('with COST=1 each backup has its price a month, alone and with its chain', () => {
  const child = {
    ...usual,
    kind: 'incremental' as const,
    bytes: 2 ** 30,
    manifest_key: 'child',
    parent_manifest: usual.manifest_key,
  };
  const orphan = {
    ...child,
    manifest_key: 'orphan',
    parent_manifest: 'gone',
    storage_class: 'GLACIER,STANDARD',
  };
  const full = { ...usual, bytes: 100 * 2 ** 30 };
  const report = listReport('b', { prefix: 'p', backups: [full, child, orphan] }, undefined, {
    known: prices,
  });
  const [head = '', first = '', second = '', third = ''] = report.text.split('\n');
  assert.match(head, /CLASS +A MONTH +CHAIN A MONTH +RESTORABLE/);
  assert.match(first, / \$0\.36 +\$0\.36 /);
  assert.match(second, / \$0\.0036 +\$0\.36 /);
  assert.match(third, / not known +not known /);
  const { backups } = report.json as { backups: Record<string, unknown>[] };
  assert.deepEqual(
    backups.map((backup) => backup.chain_dollars_per_month),
    [0.36, 0.3636, null],
  );
  assert.doesNotMatch(listReport('b', { prefix: 'p', backups: [full] }).text, /A MONTH/);
});

const failure = new ToolError('cannot list fleet/b/', { hint: 'try again' });
const plain = listReport('backups', { prefix: 'fleet/a', backups: [usual, broken] });
const fleet = hostsReport('backups', 'fleet', [
  { prefix: 'fleet/a', backups: [usual, broken] },
  { prefix: 'fleet/b', backups: [], failure },
  { prefix: 'fleet/c', backups: [] },
]);

/** Every path to a value, with `[]` for the elements of an array. */
function pathsOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((each) => pathsOf(each, `${path}[]`));
  const here = path === '' || path.endsWith('[]') ? [] : [path];
  if (value === null || typeof value !== 'object') return here;
  const below = Object.entries(value).flatMap(([key, each]) =>
    pathsOf(each, path === '' ? key : `${path}.${key}`),
  );
  return [...here, ...below];
}

test('docs/json.md names every field of the document, and no other', () => {
  const page = readFileSync(join(repositoryRoot, 'docs/json.md'), 'utf8');
  const section = /^## make list\n(.*?)^## /ms.exec(page)?.[1] ?? '';
  const cells = [...section.matchAll(/^\| (`[^|]+) \|/gm)].map((match) => match[1] ?? '');
  const documented = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''));
  const real = new Set(
    // The backups of a host are those of a list without HOST_PREFIX.
    [...pathsOf(plain.json), ...pathsOf(fleet.json)].map((path) =>
      path.replace('hosts[].backups[].', 'backups[].'),
    ),
  );
  for (const array of ['backups', 'hosts', 'hosts[].backups']) real.add(array);
  assert.deepEqual([...documented].sort(), [...real].sort());
});

test('every backup has every field, whatever is wrong with it', () => {
  const { backups } = plain.json as { backups: Record<string, unknown>[] };
  const [one = {}, other = {}] = backups;
  assert.deepEqual(Object.keys(one).sort(), Object.keys(other).sort());
  assert.deepEqual([one.problem, one.restorable, one.why_not], [null, 'after a thaw', null]);
  assert.deepEqual([other.restorable, other.why_not, other.thaw], ['no', 'is no JSON', null]);
});

test('a fleet is reported host by host, and what is wrong with one at its place', () => {
  const blocks = fleet.text.split('\n\n');
  assert.equal(blocks.length, 3);
  assert.match(blocks[0] ?? '', /^fleet\/a\n {2}SUBVOLUME .*\n\* data /);
  assert.equal(blocks[1], 'fleet/b\n  cannot be listed: cannot list fleet/b/');
  assert.equal(blocks[2], 'fleet/c\n  no backups');
  const { hosts } = fleet.json as { hosts: { problem: unknown }[] };
  assert.deepEqual(
    hosts.map(({ problem }) => problem),
    [null, 'cannot list fleet/b/; try again', null],
  );
});

test('a subvolume without a last backup is reported once', () => {
  const old = { ...usual, current: false };
  assert.deepEqual(pointerProblems({ prefix: 'host', backups: [old, usual] }), []);
  const lost = [old, { ...old, created_at: '20260102T020000Z' }, { ...usual, subvolume: 'home' }];
  assert.deepEqual(pointerProblems({ prefix: 'host', backups: lost }), [
    'host/subvol/data/current.json is missing, damaged or archived, or names no backup that is here: make restore needs AT= or MANIFEST=, and the next backup is a full one',
  ]);
});

test('where there is nothing, the text says where that was looked for', () => {
  assert.equal(
    listReport('backups', { prefix: 'host', backups: [] }).text,
    'no backups in backups under host/',
  );
  assert.equal(hostsReport('backups', 'fleet', []).text, 'no backups in backups under fleet/');
  assert.equal(hostsReport('backups', '', []).text, 'no backups in backups');
});
