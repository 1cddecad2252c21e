import assert from 'node:assert/strict';
import {
  appendFile,
  chmod,
  chown,
  link,
  lutimes,
  open,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createLoopFilesystem, type LoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { mutateData, seedData } from '../../testing/harness/seed-data.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';

const run = shell;
let filesystem: LoopFilesystem;
const at = (path: string): string => join(filesystem.mountPoint, path);

before(async () => {
  filesystem = await createLoopFilesystem({ name: 'seed-data', sizeBytes: 512 * 2 ** 20 });
});
after(() => filesystem.remove());

/** The lines that only one of two digests has. */
function changedLines(before: readonly string[], after: readonly string[]): string[] {
  const [old, current] = [new Set(before), new Set(after)];
  return [...before.filter((line) => !current.has(line)), ...after.filter((line) => !old.has(line))];
}

test('the same seed gives the same bytes, times and attributes in every directory, whatever the umask', async () => {
  const summary = await seedData(at('first'), { seed: 1 });
  const umask = process.umask(0o077);
  const second = await seedData(at('second'), { seed: 1 });
  process.umask(umask);
  assert.deepEqual(second, summary);
  const digest = await treeDigest(at('first'));
  assert.deepEqual(await treeDigest(at('second')), digest);
  assert.equal(digest.length, summary.entries + 1);
  assert.ok(summary.bytes > 8 * 2 ** 20 && summary.bytes < 16 * 2 ** 20, `${summary.bytes} bytes`);

  await seedData(at('other'), { seed: 2 });
  assert.notDeepEqual(await treeDigest(at('other')), digest);
  await assert.rejects(seedData(at('first'), { seed: 1 }), /must be empty/);
  await assert.rejects(seedData(at('few'), { seed: 1, files: 10 }), /at least 64 .*, got 10/);
});

test('the data set holds what backup tools get wrong', async () => {
  const digest = (await treeDigest(at('first'))).join('\n');
  for (const expected of [
    / {2}fifo {2}/,
    / {2}block-device {2}/,
    / {2}character-device {2}/,
    / {2}mode=4755 /,
    / {2}mode=1777 /,
    / {2}mode=0000 /,
    /^names\/not-utf8-\\351\\377\\200 /m,
    /^names\/line\\012break/m,
    / {2}size=0 /,
    / {2}nlink=3 /,
    /^links\/dangling {2}symlink .*linked-with=links\/dangling/m,
    /^metadata\/acl .*system\.posix_acl_access=0x/m,
    /^metadata\/inherits .*system\.posix_acl_default=0x/m,
    /^metadata\/capable .*security\.capability=0x/m,
    /^metadata\/attributes .* {2}user\.large=sha256:/m,
    /^metadata\/owned-link .*trusted\.note=0x/m,
    / {2}uid=4000000000 /,
    / {2}mtime=-446751899999999999ns /,
    / {2}target=nowhere/,
  ]) {
    assert.match(digest, expected);
  }
  assert.ok(Number((await run`stat --format %b ${at('first/layouts/sparse')}`).stdout) < 100);
  assert.match((await run`filefrag -v ${at('first/layouts/preallocated')}`).stdout, /unwritten/);
  assert.match((await run`filefrag -v ${at('first/layouts/reflink-copy')}`).stdout, /shared/);
  assert.match((await run`filefrag -v ${at('first/layouts/inline-1')}`).stdout, /inline/);
});

test('a tree larger and wider than the default keeps to its numbers', async () => {
  await seedData(at('large'), { seed: 3, files: 1000, totalBytes: 40 * 2 ** 20 });
  const tree = (await treeDigest(at('large'))).filter((line) => /^(tree|large)\/.* {2}file {2}/.test(line));
  const bytes = tree.reduce((sum, line) => sum + Number(/ size=(\d+) /.exec(line)?.[1]), 0);
  assert.equal(tree.length, 1004);
  assert.ok(Math.abs(bytes / (40 * 2 ** 20) - 1) < 0.1, `${bytes} bytes`);
});

test('every round of mutations changes the tree, and equally everywhere', async () => {
  let previous = await treeDigest(at('first'));
  for (let round = 1; round <= 4; round += 1) {
    await mutateData(at('first'), { seed: 1, round });
    await mutateData(at('second'), { seed: 1, round });
    const digest = await treeDigest(at('first'));
    assert.deepEqual(await treeDigest(at('second')), digest);
    assert.ok(changedLines(previous, digest).length > 60);
    previous = digest;
  }
  // Twenty rounds in a row find enough to work on.
  for (let round = 5; round <= 20; round += 1) await mutateData(at('first'), { seed: 1, round });
});

const later = new Date('2020-02-02T02:02:02Z');
const changes: Record<string, { lines: number; change: (at: (path: string) => string) => Promise<unknown> }> =
  {
    'a new file': { lines: 1, change: (at) => writeFile(at('new'), '') },
    'a lost file': { lines: 1, change: (at) => rm(at('file')) },
    'a new name': { lines: 2, change: (at) => rename(at('file'), at('renamed')) },
    content: { lines: 2, change: (at) => writeFile(at('file'), 'CONTENT') },
    'the last byte alone': { lines: 2, change: (at) => writeFile(at('file'), 'contenT') },
    size: { lines: 2, change: (at) => appendFile(at('file'), '\0') },
    mode: { lines: 2, change: (at) => chmod(at('file'), 0o4644) },
    owner: { lines: 2, change: (at) => chown(at('file'), 1, 0) },
    group: { lines: 2, change: (at) => chown(at('file'), 0, 1) },
    'a nanosecond of mtime': {
      lines: 2,
      change: (at) => run`touch -d 2020-02-02T02:02:02.000000001Z ${at('file')}`,
    },
    'mtime of a directory': { lines: 2, change: (at) => lutimes(at('folder'), 1, 1) },
    'mtime of a symlink': { lines: 2, change: (at) => lutimes(at('link'), 1, 1) },
    'mtime of the root': { lines: 2, change: (at) => lutimes(at('.'), 1, 1) },
    'target of a symlink': {
      lines: 2,
      change: (at) => rm(at('link')).then(() => symlink('FILE', at('link'))),
    },
    'a hard link': { lines: 3, change: (at) => link(at('file'), at('linked')) },
    'an attribute': { lines: 2, change: (at) => run`setfattr -n user.a -v 1 ${at('file')}` },
    'an attribute of a symlink': {
      lines: 2,
      change: (at) => run`setfattr -h -n trusted.a -v 1 ${at('link')}`,
    },
    'an ACL': { lines: 2, change: (at) => run`setfacl -m u:1:r ${at('file')}` },
    'a capability': { lines: 2, change: (at) => run`setcap cap_chown=p ${at('file')}` },
    'a device number': { lines: 2, change: (at) => run`rm ${at('dev')} && mknod ${at('dev')} c 1 4` },
    'a type of device': { lines: 2, change: (at) => run`rm ${at('dev')} && mknod ${at('dev')} b 1 3` },
    'a file that becomes a fifo': { lines: 2, change: (at) => run`rm ${at('file')} && mkfifo ${at('file')}` },
  };

for (const [name, { lines, change }] of Object.entries(changes)) {
  test(`the digest notices ${name}`, async () => {
    const inside = (path: string): string => at(join('digest', path));
    await run`mkdir -p ${inside('folder')}`;
    await writeFile(inside('file'), 'content');
    await symlink('file', inside('link'));
    await run`mknod ${inside('dev')} c 1 3`;
    // Changes inside a directory change its mtime, which is a line of its own and not what is asked here.
    const settle = async () => {
      for (const path of ['file', 'link', 'folder', 'dev', '.']) await lutimes(inside(path), later, later);
    };
    await settle();
    const digest = await treeDigest(inside('.'));
    await change(inside);
    const touched = /mtime/.test(name);
    if (!touched)
      await run`find ${inside('.')} -newermt 2021-01-01 -exec touch -h -d 2020-02-02T02:02:02Z {} +`;
    const changed = changedLines(digest, await treeDigest(inside('.')));
    assert.equal(changed.length, lines, changed.join('\n'));
    await rm(inside('.'), { recursive: true });
  });
}

test('looking at a tree does not change its access times', async () => {
  await run`mkdir ${at('atime')}`;
  await writeFile(at('atime/file'), 'content');
  await lutimes(at('atime/file'), 1, 2);
  await treeDigest(at('atime'));
  const file = await open(at('atime/file'));
  assert.equal((await file.stat()).atimeMs, 1000);
  await file.close();
});

test('a nested subvolume is no part of the tree, nor is its stand-in inside a snapshot', async () => {
  await run`btrfs subvolume create ${at('outer')}`;
  await run`btrfs subvolume create ${at('outer/inner')}`;
  await run`btrfs subvolume snapshot -r ${at('outer')} ${at('snapshot')}`;
  const digest = await treeDigest(at('outer'));
  assert.equal(digest.length, 1);
  assert.deepEqual(await treeDigest(at('snapshot')), digest);
});
