/** Where a place of a filesystem is seen, by the mounts that show it. */
import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Mount,
  mountOf,
  mountsOfSame,
  pathsOf,
  placeOf,
} from '../../../../lib/edge/btrfs/mounts/mounts.ts';
import { lookAtFilesystem } from '../../../../lib/edge/btrfs/whole-filesystem.ts';
import { shell } from '../../../../testing/harness/processes/shell.ts';
import { btrfs, loopBtrfs } from '../../../support/loop-btrfs.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { unmount } from '../../../support/unmount-everywhere.ts';

const mount = await loopBtrfs('mounts');
const directory = temporaryDirectory('mounts');

const shows = (root: string, target: string): Mount => ({
  id: 1,
  root,
  target,
  type: 'btrfs',
  source: '/dev/x',
  options: [],
  filesystemOptions: [],
  device: '0:1',
});

test('a place is seen through each mount of what it lies in, and a path leads back to it', () => {
  const mounts = [shows('/', '/'), shows('/', '/top'), shows('/@home', '/home'), shows('/@homes', '/homes')];
  assert.deepEqual(pathsOf('/@home/a', mounts), ['/@home/a', '/top/@home/a', '/home/a']);
  assert.deepEqual(pathsOf('/@home', mounts), ['/@home', '/top/@home', '/home']);
  assert.deepEqual(pathsOf('/', mounts), ['/', '/top']);
  for (const [path, each, place] of [
    ['/home/a', shows('/@home', '/home'), '/@home/a'],
    ['/home', shows('/@home', '/home'), '/@home'],
    ['/top', shows('/', '/top'), '/'],
    ['/a/b', shows('/', '/'), '/a/b'],
    ['/', shows('/@', '/'), '/@'],
  ] as const) {
    assert.equal(placeOf(path, each), place);
  }
});

test('real mounts of one filesystem are distinguished from others, with blanks in their names, and show what lies in them', async (t) => {
  const point = join(directory, 'with blank');
  await mkdir(point);
  btrfs('subvolume', 'create', join(mount, '@'));
  btrfs('subvolume', 'create', join(mount, '@/nested'));
  const { source, device } = await mountOf(mount);
  await shell`mount -o subvol=@ ${source} ${point}`;
  t.after(() => unmount(point));
  assert.equal((await mountOf(join(point, 'nested'))).root, '/@');
  const roots = (await mountsOfSame({ device })).map(({ target, root }) => [target, root]);
  assert.deepEqual(
    roots.sort(),
    [
      [mount, '/'],
      [point, '/@'],
    ].sort(),
  );
  const uuid = /^\s+UUID:\s+(\S+)$/m.exec(btrfs('subvolume', 'show', join(mount, '@/nested')))?.[1] ?? '';
  for (const seen of [mount, point]) {
    const { subvolumes, find } = await lookAtFilesystem(seen);
    assert.equal(subvolumes.get(uuid)?.path, '@/nested', 'from the top level, whichever mount is asked');
    assert.ok((await find(uuid))?.path.endsWith('/nested'));
    assert.equal(await find('00000000-0000-0000-0000-000000000001'), undefined);
  }
});

test('the mount of a path is the one that is on top there, and each filesystem has a device of its own', async (t) => {
  const [below, above] = [join(directory, 'below'), join(directory, 'below', 'above')];
  await mkdir(above, { recursive: true });
  await shell`mount -t tmpfs inner ${above}`;
  await shell`mount -t tmpfs outer ${below}`;
  t.after(() => shell`umount ${below} ${above}`);
  await mkdir(above);
  await symlink(above, join(directory, 'link'));
  for (const path of [above, join(directory, 'link')]) {
    assert.equal((await mountOf(path)).source, 'outer', 'the mount that the other one covers is not seen');
  }
  const [top, inside, other] = await Promise.all([mount, join(mount, '@'), below].map(mountOf));
  assert.equal(top?.type, 'btrfs');
  assert.match(top?.source ?? '', /^\/dev\/loop\d+$/);
  assert.deepEqual(inside, top);
  assert.notEqual(other?.device, top?.device);
  await assert.rejects(mountOf(join(mount, 'missing')), {
    message: `cannot find the filesystem of ${join(mount, 'missing')}: it does not exist`,
  });
});
