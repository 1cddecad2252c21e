import assert from 'node:assert/strict';
import { open, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CompareRequest, compareTrees } from '../../../lib/edge/compare/compare-trees.ts';
import { createLoopFilesystem, type LoopFilesystem } from '../../../testing/harness/loop-filesystem.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { seedData } from '../../../testing/harness/seed-data.ts';
import { treeDigest } from '../../../testing/harness/tree-digest.ts';

const run = shell;
let filesystem: LoopFilesystem;
const at = (path: string): string => join(filesystem.mountPoint, path);

/** Nested subvolumes at places and with names that are hard to write as a pattern. */
const nestedSubvolumes = [
  'nested',
  'names/*?[x]\\ \n',
  'names/back\\slash\\?',
  'names/plain\\ ',
  'names/- é [a]',
];

before(async () => {
  filesystem = await createLoopFilesystem({
    name: 'compare-trees',
    sizeBytes: 1024 * 2 ** 20,
    mountOptions: ['nobarrier'],
  });
  await run`btrfs subvolume create ${at('source')}`;
  await seedData(at('source'), { seed: 7, files: 64, totalBytes: 2 ** 20 });
  for (const path of nestedSubvolumes) await run`btrfs subvolume create ${at(join('source', path))}`;
  await run`touch ${at('source/nested/inside')} && ln ${at('source/nested/inside')} ${at('source/nested/linked')}`;
  await run`mkdir ${at('source/twins')} && touch ${at('source/twins/one')}`;
  await run`cp -a ${at('source/twins/one')} ${at('source/twins/two')}`;
  await run`setfattr -n user.rsync.%stat -v x ${at('source/twins')}`;
  await run`btrfs subvolume snapshot -r ${at('source')} ${at('snapshot')}`;
  await run`mkdir ${at('received')}`;
  await run`btrfs send -q ${at('snapshot')} | btrfs receive -q ${at('received')}`;
});
after(() => filesystem.remove());

let restored = 0;

/**
 * A restored tree of its own for one test, as a restore makes it, on which a bash script has run. It is moved away afterwards: to
 * delete it takes longer.
 */
async function withRestored(script: string, work: (path: string) => Promise<void>): Promise<void> {
  await run`btrfs subvolume snapshot ${at('received/snapshot')} ${at('restored')}
    cd ${at('restored')}
    bash -ec ${script}`;
  try {
    await work(at('restored'));
  } finally {
    await rename(at('restored'), at(`restored-${restored++}`));
  }
}

type Overrides = Partial<CompareRequest>;

async function compare(mode: 'full' | 'sample', overrides: Overrides = {}) {
  const request = { expected: at('snapshot'), actual: at('restored'), mode, sampleFiles: 10_000 };
  return compareTrees({ ...request, ...overrides });
}

async function differences(mode: 'full' | 'sample', overrides: Overrides = {}) {
  const { differences } = await compare(mode, overrides);
  return Object.fromEntries(differences.map(({ path, aspects }) => [path, aspects]));
}

test('a restored tree equals its snapshot in both modes, nested subvolumes aside', async () => {
  await withRestored('', async (restored) => {
    // The independent dump of both says so first.
    const digest = await treeDigest(at('snapshot'));
    assert.deepEqual(await treeDigest(restored), digest);
    const files = digest.filter((line) => / {2}file {2}/.test(line)).length;

    const full = await compare('full');
    assert.deepEqual(full, { entries: digest.length, contents: files, differences: [], totalDifferences: 0 });
    const sample = await compare('sample', { sampleFiles: 17 });
    assert.deepEqual(sample, { entries: digest.length, contents: 17, differences: [], totalDifferences: 0 });
    const everything = await compare('sample');
    assert.equal(everything.contents, files);
    assert.deepEqual(everything.differences, []);
    assert.equal((await compare('sample', { sampleFiles: 0 })).contents, 0);
  });
});

test('two snapshots that both show nested subvolumes are equal', async () => {
  await run`btrfs subvolume snapshot -r ${at('source')} ${at('second')}`;
  assert.deepEqual(await differences('full', { actual: at('second') }), {});
});

test('a snapshot equals its live subvolume, in which nested subvolumes are there', async () => {
  assert.deepEqual(await differences('full', { actual: at('source') }), {});
});

test('something else in the place of a nested subvolume is extra', async () => {
  await withRestored('mkdir nested; touch nested/inside; touch -r ../snapshot .', async () => {
    assert.deepEqual(await differences('full'), { nested: ['extra'], 'nested/inside': ['extra'] });
  });
});

const file = 'large/text-1';
const allLarge = ['random-1', 'random-2', 'text-1', 'text-2'];
const each = (prefix: string, names: readonly string[], aspect: string) =>
  Object.fromEntries(names.map((name) => [`${prefix}/${name}`, [aspect]]));
const unixSocket = `require('net').createServer().listen('special/fifo', () => process.kill(process.pid, 'SIGKILL'))`;

/** One change to the restored tree (a bash script that runs in it), and what must be found. */
const changes: Record<string, { script: string; found: Record<string, string[]> }> = {
  'content of the same size and time': {
    script: `printf X | dd of=${file} conv=notrunc bs=1 seek=100000 status=none`,
    found: { [file]: ['content'] },
  },
  'content under a name that is not UTF-8': {
    script: "printf X | dd of=names/$'not-utf8-\\xe9\\xff\\x80' conv=notrunc bs=1 status=none",
    found: { 'names/not-utf8-\\xe9\\xff\\x80': ['content'] },
  },
  'content under a name with a newline': {
    script: "printf X | dd of=names/$'line\\nbreak\\r\\n' conv=notrunc bs=1 status=none",
    found: { 'names/line\\x0abreak\\x0d\\x0a': ['content'] },
  },
  'content under a name that starts like a comment': {
    script: "printf X | dd of='names/#comment' conv=notrunc bs=1 status=none",
    found: { 'names/#comment': ['content'] },
  },
  'content under a name with spaces around': {
    script: "printf X | dd of='names/ leading and trailing ' conv=notrunc bs=1 status=none",
    found: { 'names/ leading and trailing ': ['content'] },
  },
  'content below a directory with a name like an option': {
    script: 'printf X > names/d--delete/--delete',
    found: { 'names/d--delete/--delete': ['content', 'size'] },
  },
  size: { script: `printf X >> ${file}`, found: { [file]: ['content', 'size'] } },
  'a missing file': { script: `rm ${file}`, found: { [file]: ['missing'] } },
  'a missing directory': { script: 'rmdir metadata/sticky', found: { 'metadata/sticky': ['missing'] } },
  'a missing symlink': { script: 'rm links/folder', found: { 'links/folder': ['missing'] } },
  'a missing fifo': { script: 'rm special/fifo', found: { 'special/fifo': ['missing'] } },
  'a missing device': { script: 'rm special/block-device', found: { 'special/block-device': ['missing'] } },
  'an extra file': { script: 'touch large/extra', found: { 'large/extra': ['extra'] } },
  'an extra directory': {
    script: 'mkdir extra && touch extra/inside',
    found: { extra: ['extra'], 'extra/inside': ['extra'] },
  },
  mode: { script: `chmod 600 ${file}`, found: { [file]: ['mode'] } },
  'setuid bit': { script: `chmod u+s ${file}`, found: { [file]: ['mode'] } },
  'mode of a directory': { script: 'chmod 700 large', found: { large: ['mode'] } },
  'mode of the root': { script: 'chmod 700 .', found: { '.': ['mode'] } },
  owner: { script: `chown 77 ${file}`, found: { [file]: ['owner'] } },
  group: { script: `chgrp 77 ${file}`, found: { [file]: ['group'] } },
  'owner of a symlink': { script: 'chown -h 77 links/folder', found: { 'links/folder': ['owner'] } },
  'one nanosecond of mtime': {
    script: `touch -d "$(stat -c %y ${file} | sed -E 's/[0-9] ([+-])/4 \\1/')" ${file}`,
    found: { [file]: ['mtime'] },
  },
  'mtime of a directory': { script: 'touch large', found: { large: ['mtime'] } },
  'mtime of a symlink': { script: 'touch -h links/folder', found: { 'links/folder': ['mtime'] } },
  'mtime of a fifo': { script: 'touch -h special/fifo', found: { 'special/fifo': ['mtime'] } },
  'mtime of the root': { script: 'touch .', found: { '.': ['mtime'] } },
  'a changed attribute': {
    script: 'setfattr -n user.binary -v x metadata/attributes',
    found: { 'metadata/attributes': ['xattr'] },
  },
  'a large attribute': {
    script: `setfattr -n user.large -v "$(printf 'w%.0s' {1..3000})" metadata/attributes`,
    found: { 'metadata/attributes': ['xattr'] },
  },
  'an extra attribute': { script: `setfattr -n user.new ${file}`, found: { [file]: ['xattr'] } },
  "a lost attribute of rsync's own": {
    script: 'setfattr -x user.rsync.%stat twins',
    found: { twins: ['xattr'] },
  },
  'a lost attribute': {
    script: 'setfattr -x user.empty metadata/attributes',
    found: { 'metadata/attributes': ['xattr'] },
  },
  'a trusted attribute': {
    script: 'setfattr -x trusted.note metadata/attributes',
    found: { 'metadata/attributes': ['xattr'] },
  },
  'an attribute of a directory': {
    script: 'setfattr -x user.note metadata/sticky',
    found: { 'metadata/sticky': ['xattr'] },
  },
  'an attribute of a symlink': {
    script: 'setfattr -h -n trusted.note -v x metadata/owned-link',
    found: { 'metadata/owned-link': ['xattr'] },
  },
  'a compression property': {
    script: 'setfattr -n btrfs.compression -v zlib metadata/attributes',
    found: { 'metadata/attributes': ['xattr'] },
  },
  'a lost capability': { script: 'setcap -r metadata/capable', found: { 'metadata/capable': ['xattr'] } },
  'an extra ACL': { script: `setfacl -n -m u:9:r ${file}`, found: { [file]: ['acl'] } },
  'a changed ACL': { script: 'setfacl -n -m u:1234:r metadata/acl', found: { 'metadata/acl': ['acl'] } },
  'a lost default ACL': { script: 'setfacl -k metadata/inherits', found: { 'metadata/inherits': ['acl'] } },
  'a symlink target of the same length': {
    script: 'ln -sfn ONE/original links/relative',
    found: { 'links/relative': ['link-target'] },
  },
  'a broken hard link': {
    script: 'cp -a links/again new && mv new links/two/"other name"',
    found: { 'links/two/other name': ['hard-link'] },
  },
  'an extra hard link between equal files': {
    script: 'ln -f twins/one twins/two',
    found: { 'twins/two': ['hard-link'] },
  },
  'an extra name of a linked file': {
    script: 'ln links/again links/one/more',
    found: { 'links/one/more': ['extra'] },
  },
  'a device number': {
    script: 'rm special/block-device; mknod -m 660 special/block-device b 241 301',
    found: { 'special/block-device': ['device'] },
  },
  'a character device instead of a block device': {
    script: 'rm special/block-device; mknod -m 660 special/block-device c 241 300',
    found: { 'special/block-device': ['type'] },
  },
  'a socket instead of a fifo': {
    script: `rm special/fifo; "${process.execPath}" -e "${unixSocket}" || chmod 640 special/fifo`,
    found: { 'special/fifo': ['type'] },
  },
  'a file instead of a fifo': {
    script: 'rm special/fifo; touch special/fifo',
    found: { 'special/fifo': ['type'] },
  },
  'a directory instead of a file': { script: `rm ${file}; mkdir ${file}`, found: { [file]: ['type'] } },
  'a symlink instead of a file': { script: `rm ${file}; ln -s x ${file}`, found: { [file]: ['type'] } },
  'a file instead of a symlink': {
    script: 'rm links/folder; touch links/folder',
    found: { 'links/folder': ['type'] },
  },
  'a file instead of a directory': {
    script: 'rm -r large; touch large',
    found: { large: ['type'], ...each('large', allLarge, 'missing') },
  },
  'a symlink to an equal directory instead of a directory': {
    script: 'mv large moved; ln -s moved large',
    found: {
      large: ['type'],
      ...each('large', allLarge, 'type'),
      moved: ['extra'],
      ...each('moved', allLarge, 'extra'),
    },
  },
};

/** Gives all that `script` touched its old time back, so that the change under test is the only one. */
const restoreTimes = `find . -newermt '-1 day' ! -newermt '+1 day' -print0 |
  while IFS= read -r -d '' path; do touch -h -r ../snapshot/"$path" "$path" 2>&- || :; done`;

for (const [name, { script, found }] of Object.entries(changes)) {
  test(`finds ${name}`, async () => {
    // Where a time is what was changed, it stays.
    await withRestored(name.includes('mtime') ? script : `${script}\n${restoreTimes}`, async () => {
      assert.deepEqual(await differences('full'), found);
      assert.deepEqual(await differences('sample'), found);
    });
  });
}

test('without reading contents, a changed content of the same size and time is not found, all else is', async () => {
  const script = `printf X | dd of=${file} conv=notrunc bs=1 status=none; touch large/extra`;
  await withRestored(`${script}\n${restoreTimes}`, async () => {
    assert.deepEqual(await differences('sample', { sampleFiles: 0 }), { 'large/extra': ['extra'] });
  });
});

test('differences beyond a hundred are counted', async () => {
  await withRestored('touch large/extra-{1..150}', async () => {
    const { differences, totalDifferences } = await compare('full');
    assert.deepEqual([differences.length, totalDifferences], [100, 151]);
  });
});

test('a comparison changes nothing, not even access times', async (context) => {
  const [, minor] = /version 3\.(\d+)/.exec((await run`rsync --version`).stdout) ?? [];
  if (Number(minor) < 5) return context.skip('this rsync does not use --open-noatime for checksums');
  await withRestored('', async (restored) => {
    await utimes(join(restored, file), 1000, 1000);
    await compare('full');
    await compare('sample');
    const handle = await open(join(restored, file));
    assert.equal((await handle.stat()).atimeMs, 1_000_000);
    await handle.close();
  });
});

test('a tree that is missing or no directory is an error, not a difference', async () => {
  const missing = { expected: at('snapshot'), actual: at('nowhere') };
  await assert.rejects(compare('full', missing), {
    name: 'ToolError',
    message: /nowhere cannot be compared/,
  });
  const notDirectory = { expected: at(`snapshot/${file}`), actual: at('snapshot') };
  await assert.rejects(compare('full', notDirectory), { name: 'ToolError', message: /it is no directory/ });
});

test('an abort ends the children and is the reason of the failure', async () => {
  await run`truncate --size 100G ${at('source/huge')}`;
  const controller = new AbortController();
  const same = { expected: at('source'), actual: at('source'), signal: controller.signal };
  const comparing = compare('full', same);
  setTimeout(() => controller.abort(new Error('told to stop')), 500);
  await assert.rejects(comparing, { message: 'told to stop' });
  const commands = (await run`ps -eo args`).stdout.split('\n');
  assert.deepEqual(
    commands.filter((command) => command.startsWith('rsync') && command.includes(`/proc/${process.pid}/`)),
    [],
  );
  await assert.rejects(compare('full', same), { message: 'told to stop' });
});
