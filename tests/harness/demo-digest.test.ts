import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareDigests, demandEqual, describeDigest } from '../../testing/harness/digest-facts.ts';

const root = '.  directory  mode=0755  uid=0  gid=0  mtime=1ns';
const file =
  'a  b  file  mode=0644  uid=0  gid=0  mtime=1ns  size=2048  nlink=2  sha256=00  linked-with=a  b';
const attributes = '  trusted.note=0x00  user.empty=0x  user.odd \\075 name=sha256:11';
const link = 'l  symlink  mode=0777  uid=0  gid=0  mtime=1ns  size=1  nlink=1  target=x';
const fifo = 'p  fifo  mode=0600  uid=0  gid=0  mtime=1ns  size=0  nlink=1';

test('a digest is described by what it holds', () => {
  assert.equal(
    describeDigest([root, `${file}${attributes}`, link, fifo]),
    '4 entries: 1 file (2.00 KiB), 1 directories, 1 symlink, 1 special file, 1 hard-linked name, 3 extended attributes',
  );
});

test('two digests differ in paths that are new, gone or changed', () => {
  const changed = link.replace('target=x', 'target=y');
  assert.deepEqual(compareDigests([root, file, link], [root, changed, fifo]), {
    added: ['p'],
    removed: ['a  b'],
    changed: ['l'],
  });
});

test('equality is demanded, and the first differences are named', () => {
  demandEqual([root, file], [root, file], '/there');
  assert.throws(() => demandEqual([root, file, link], [root, `${link}  user.new=0x`, fifo], '/there'), {
    message: '/there has 3 differences: l differs; a  b is missing; p should not be there',
  });
  assert.throws(() => demandEqual([root], [], '/there'), /1 difference: \. is missing/);
});
