import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  holdsSnapshotsOf,
  ignoredBy,
  mountsLine,
  nestedLine,
} from '../../../../lib/core/plan/backup/left-out.ts';
import { resolve } from '../../settings/resolve.ts';

for (const [globs, path, ignored] of [
  [[], '/a', false],
  [['/a'], '/a', true],
  [['/a'], '/a/b/c', true],
  [['/a'], '/ab', false],
  [['/var/lib/docker/btrfs/subvolumes/*'], '/var/lib/docker/btrfs/subvolumes/3f', true],
  [['/var/*'], '/var/lib/machines', true],
  [['/var/*'], '/var', false],
  [['/srv/*/cache'], '/srv/a/b/cache', false],
  [['/srv/**/cache'], '/srv/a/b/cache', true],
  [['**/.snapshots'], '/home/me/.snapshots', true],
  [['/x', '/home/.*'], '/home/.cache', true],
  [['/it[1-3]'], '/it2', true],
] as const) {
  test(`${globs.join() || 'no glob'} ${ignored ? 'silences' : 'does not silence'} ${path}`, () => {
    assert.equal(ignoredBy(globs)(path), ignored);
  });
}

test('a subvolume .snapshots is a store of snapshots when it has one of the outer subvolume', () => {
  const store = { id: 300, path: 'home/.snapshots' };
  const snapshot = {
    id: 301,
    containerId: 300,
    uuid: 's',
    parentUuid: 'home',
    createdTransid: 7,
    path: 'home/.snapshots/1/snapshot',
  };
  assert.ok(holdsSnapshotsOf(store, 'home', [snapshot]));
  assert.ok(!holdsSnapshotsOf(store, 'other', [snapshot]));
  assert.ok(!holdsSnapshotsOf(store, 'home', [{ ...snapshot, containerId: 5 }]));
  for (const path of ['@snapshots', '@.snapshots', '@_snapshots', '.snapshots'])
    assert.ok(holdsSnapshotsOf({ ...store, path }, 'home', [snapshot]), path);
  assert.ok(!holdsSnapshotsOf({ ...store, path: 'home/vm-snapshots' }, 'home', [snapshot]));
  assert.ok(!holdsSnapshotsOf({ ...store, path: 'home/vm' }, 'home', [snapshot]), 'it has other things, too');
});

/** What a line says to add to SUBVOLUMES, beside what stands there. */
function pasted(line: string | undefined, before: string): readonly (readonly [string, string])[] {
  const [, items = ''] = /(?:backup: |add to SUBVOLUMES: )((?:[^;(]|\([^b])*);/.exec(line ?? '') ?? [];
  const { values, problems } = resolve(`SUBVOLUMES=${before},${items.replace(/ and \d+ more$/, '')}`);
  assert.deepEqual(problems, []);
  return (values.SUBVOLUMES ?? []).map((each) => [each.name, 'path' in each ? each.path : '']);
}

test('paths are named as they can be written into SUBVOLUMES, the first of many', () => {
  const line = nestedLine(
    ['/d/vm', '/d/x/vm', '/d/my photos', '/d/lock', '/d/data', '/d/f', '/d/g'],
    ['data'],
    undefined,
  );
  assert.equal(
    line,
    'nested subvolumes are not part of this backup: /d/vm, x-vm=/d/x/vm, my-photos=/d/my photos, d-lock=/d/lock, d-data=/d/data and 2 more; add them to SUBVOLUMES as they stand here; IGNORE_NESTED names what needs no warning',
  );
  assert.deepEqual(pasted(line, '/data'), [
    ['data', '/data'],
    ['vm', '/d/vm'],
    ['x-vm', '/d/x/vm'],
    ['my-photos', '/d/my photos'],
    ['d-lock', '/d/lock'],
    ['d-data', '/d/data'],
  ]);
  assert.equal(nestedLine([], [], undefined), undefined);
});

test('names are found for paths of which no part is one, and for the longest ones', () => {
  const long = `/${'x'.repeat(250)}`;
  const line = nestedLine(['/Bücher', '/~', '/~/~', long, '/.'], ['-'], undefined);
  assert.deepEqual(
    pasted(line, '-=/data').map(([name]) => name),
    ['-', 'B-cher', '--2', '---', 'x'.repeat(150), '.-2'],
  );
});

test('what cannot be written into SUBVOLUMES is named all the same', () => {
  assert.match(nestedLine(['/a,b', '/c '], [], undefined) ?? '', /backup: \/a,b, \/c ; add/);
});

test('below a subvolume that is mounted nowhere, it says what to mount', () => {
  assert.match(
    nestedLine(['/@home/vm'], [], '@home') ?? '',
    /: \/@home\/vm, below the top level of the filesystem; mount @home to back them up; IGNORE_NESTED/,
  );
});

test('mounts are named with source and type, those of Btrfs first, and those that can be backed up once more', () => {
  const mounts = [
    { target: '/boot', source: '/dev/sda1', root: '/', type: 'ext4' },
    { target: '/home', source: '/dev/sda2', root: '/@home', type: 'btrfs' },
  ];
  const line = mountsLine('/', mounts, ['/home'], ['root']);
  assert.equal(
    line,
    'what is mounted below / is not part of this backup: /home (btrfs on /dev/sda2[/@home]), /boot (ext4 on /dev/sda1); add to SUBVOLUMES: /home; IGNORE_NESTED names what needs no warning',
  );
  assert.doesNotMatch(mountsLine('/', mounts.slice(0, 1), [], []) ?? '', /SUBVOLUMES/);
  assert.equal(mountsLine('/', [], [], []), undefined);
});
