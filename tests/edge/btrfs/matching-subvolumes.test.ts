import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findByUuid, showSubvolume } from '../../../lib/edge/btrfs/btrfs.ts';
import { findMatchingSubvolumes } from '../../../lib/edge/btrfs/matching-subvolumes.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';
import { tinyFilesystem } from '../../support/temporary-directory.ts';

const mount = await loopBtrfs('matching');
const tiny = tinyFilesystem('matching', 2 ** 20, 400);
const at = (name: string) => join(mount, name);

btrfs('subvolume', 'create', at('home'));
btrfs('subvolume', 'create', at('.snapshots'));
for (const number of [1, 2, 10]) {
  mkdirSync(at(`.snapshots/${number}`));
  btrfs('subvolume', 'snapshot', '-r', at('home'), at(`.snapshots/${number}/snapshot`));
}
mkdirSync(at('.snapshots/3'));
symlinkSync('10', at('.snapshots/latest'));

test('subvolumes are found by a glob in the way of snapper, links and empty directories left out', async () => {
  const { found, unnameable } = await findMatchingSubvolumes(at('.snapshots/*/snapshot'));
  assert.deepEqual(
    found.map(({ path }) => path).sort(),
    [1, 10, 2].map((number) => at(`.snapshots/${number}/snapshot`)),
  );
  assert.deepEqual(new Set(found.map(({ name }) => name)), new Set(['snapshot']));
  assert.ok(
    found.every(({ readOnly, createdAt }) => readOnly && createdAt),
    'each is described',
  );
  assert.deepEqual(unnameable, []);
});

test('what has a name that is not UTF-8 is reported, and the rest is found', async () => {
  const name = Buffer.concat([Buffer.from(at('.snapshots/1/')), Buffer.from([0x62, 0xff])]);
  mkdirSync(name);
  const { found, unnameable } = await findMatchingSubvolumes(at('.snapshots/1/*'));
  assert.equal(found.length, 1);
  assert.equal(unnameable.length, 1);
  await assert.rejects(findMatchingSubvolumes(at('.snapshots/1/b*')), /is not UTF-8/);
  rmdirSync(name);
});

test('what matches and is no subvolume is named', async () => {
  await assert.rejects(findMatchingSubvolumes(at('nothing/*')), /no directory matches .*nothing\/\*$/);
  await assert.rejects(
    findMatchingSubvolumes(at('.snapshots/[0-9]*')),
    /^ToolError: of 4 paths that match .*none is/,
  );
  // The inode numbers of tmpfs count up from 1: one of these has that of a subvolume's root.
  const elsewhere = Array.from({ length: 300 }, (_, number) => join(tiny, `${number}`));
  for (const directory of elsewhere) mkdirSync(directory);
  assert.ok(
    elsewhere.some((directory) => statSync(directory).ino === 256),
    'that of a subvolume',
  );
  await assert.rejects(findMatchingSubvolumes(join(tiny, '*')), /is tmpfs on tiny, not Btrfs$/);
});

test('a subvolume is found by its UUID, and one that is not there is not', async () => {
  const { uuid } = await showSubvolume(at('home'));
  const snapshot = at('.snapshots/1/snapshot');
  assert.equal((await findByUuid(uuid, snapshot))?.uuid, uuid);
  assert.equal(await findByUuid('00000000-0000-0000-0000-000000000001', snapshot), undefined);
});
