/** Lists of mounts as Linux writes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseMounts, unescapeOctal } from '../../../lib/core/format/mountinfo.ts';

test('a mount is read with blanks in its paths, however many fields stand before the dash, and without a source', () => {
  const text = [
    '29 1 0:26 /@ / rw,relatime shared:1 - btrfs /dev/sda2 rw,compress=zstd:3,subvol=/@',
    '41 29 0:26 /@home/a\\040-\\040b /mnt/with\\040blank\\134 ro,noatime shared:1 master:2 propagate_from:3 - btrfs /dev/sda2 rw',
    '52 29 0:30 / /tmp rw - tmpfs  rw,size=10k',
    '60 29 0:31 / /nas rw - cifs //nas/my\\040share rw',
    'nonsense - btrfs',
    '',
  ].join('\n');
  assert.deepEqual(
    parseMounts(text).map(({ id, root, target, type, source }) => [id, root, target, type, source]),
    [
      [29, '/@', '/', 'btrfs', '/dev/sda2'],
      [41, '/@home/a - b', '/mnt/with blank\\', 'btrfs', '/dev/sda2'],
      [52, '/', '/tmp', 'tmpfs', ''],
      [60, '/', '/nas', 'cifs', '//nas/my share'],
    ],
  );
  const [top, home] = parseMounts(text);
  assert.deepEqual(top?.filesystemOptions, ['rw', 'compress=zstd:3', 'subvol=/@']);
  assert.deepEqual(home?.options, ['ro', 'noatime']);
  assert.equal(home?.device, top?.device);
});

test('what Linux writes of any path is read as that path', () => {
  // seq_path(…, " \t\n\\") in the kernel.
  const written = (path: string) =>
    path.replace(/[ \t\n\\]/g, (blank) => `\\${blank.charCodeAt(0).toString(8).padStart(3, '0')}`);
  const any = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\\', '0', '4', '/', 'ä', '-', '#') });
  fc.assert(fc.property(any, (path) => unescapeOctal(written(path)) === path));
});
