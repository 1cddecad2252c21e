import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { capabilitiesOf } from '../../../lib/edge/copy/capabilities.ts';
import { bytesOnDisk, type CopyRequest, copyPaths } from '../../../lib/edge/copy/copy-paths.ts';
import { lookUp, topPaths } from '../../../lib/edge/copy/look-up.ts';
import { place, whyNoPlace } from '../../../lib/edge/copy/place.ts';
import { SameNames } from '../../../lib/edge/copy/same-names.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { seedData } from '../../../testing/harness/seed-data.ts';
import { treeDigest } from '../../../testing/harness/tree-digest.ts';
import { ext4 } from '../../support/ext4.ts';
import { loopBtrfs } from '../../support/loop-btrfs.ts';

const mount = await loopBtrfs('copy-paths');
const tree = join(mount, 'tree');
await shell`btrfs subvolume create ${tree}`;
await seedData(tree, { seed: 11, files: 64, totalBytes: 2 ** 20 });
await shell`setfattr -n user.rsync.%stat -v 1 ${join(tree, 'links')}`;
const everything = { owners: true, symlinks: true, hardLinks: true, cases: true };
const never = new AbortController().signal;
const other = await ext4('copy-paths', 128 * 2 ** 20);
let directories = 0;

async function fresh(parent = other): Promise<string> {
  const path = join(parent, `to-${directories++}`);
  await mkdir(path);
  return path;
}

async function copy(to: string, paths: readonly string[], changes: Partial<CopyRequest> = {}) {
  const seen: number[] = [];
  const request = { from: tree, to, paths, keeps: everything, isBtrfs: false, signal: never, ...changes };
  const incomplete = await copyPaths(request, (bytes) => seen.push(bytes));
  return { incomplete, bytes: seen.reduce((sum, bytes) => sum + bytes, 0) };
}

/** A property of Btrfs, which no other filesystem has. */
const portable = (digest: readonly string[]) =>
  digest.map((line) => line.replace(/ {2}btrfs\.compression=\S+/, ''));

test('a whole tree comes to ext4 as it is, but for what is of Btrfs alone, and to Btrfs as it is', async () => {
  const to = await fresh();
  assert.equal((await copy(to, await topPaths(tree))).incomplete, undefined);
  const withoutTop = (digest: readonly string[]) => digest.slice(1);
  const digest = withoutTop(await treeDigest(tree));
  assert.deepEqual(withoutTop(await treeDigest(to)), portable(digest));
  const same = await fresh(mount);
  assert.equal((await copy(same, await topPaths(tree), { isBtrfs: true })).incomplete, undefined);
  assert.deepEqual(withoutTop(await treeDigest(same)), digest);
});

test('holes stay holes, and count for nothing', async () => {
  const to = await fresh();
  const { bytes } = await copy(to, ['/layouts/all-hole']);
  assert.equal(bytes, 3 * 2 ** 20);
  assert.equal(statSync(join(to, 'layouts/all-hole')).blocks, 0);
  assert.equal(await bytesOnDisk(tree, ['/layouts/all-hole'], never), 0);
});

test('paths take what is in them, and above them only what leads there', async () => {
  const to = await fresh();
  await copy(to, ['/links/one', '/links/again', '/special/fifo']);
  assert.deepEqual(readdirSync(to, { recursive: true }).sort(), [
    'links',
    'links/again',
    'links/one',
    'links/one/original',
    'special',
    'special/fifo',
  ]);
  const [again, original] = [statSync(join(to, 'links/again')), statSync(join(to, 'links/one/original'))];
  assert.deepEqual([again.ino, again.nlink], [original.ino, 2], 'links between paths survive');
  const { mode, mtimeMs } = statSync(join(tree, 'links'));
  assert.deepEqual([statSync(join(to, 'links')).mode, statSync(join(to, 'links')).mtimeMs], [mode, mtimeMs]);
});

test('names that rsync reads as comments, options or patterns are names', async () => {
  const names = [
    '#comment',
    '; semicolon',
    '-rf',
    '--delete',
    '*',
    'a:b',
    ' blank ',
    'line\nbreak',
    '\xe9\xff',
  ];
  for (const name of names) writeFileSync(Buffer.from(`${tree}/${name}`, 'latin1'), name);
  const paths = names.map((name) => `/${name}`);
  const to = await fresh();
  assert.equal((await copy(to, paths)).incomplete, undefined);
  assert.deepEqual(await topPaths(to), [...paths].sort());
  for (const path of paths) assert.equal((await lookUp(tree, path)).isThere, true);
});

test('a filesystem that keeps no owners and links gets the content', async () => {
  const to = await fresh();
  const keeps = { owners: false, symlinks: false, hardLinks: false, cases: true };
  assert.equal((await copy(to, ['/links', '/metadata', '/special'], { keeps })).incomplete, undefined);
  assert.equal(statSync(join(to, 'links/again')).nlink, 1);
  assert.equal(statSync(join(to, 'metadata/owned')).uid, 0);
  assert.deepEqual(readdirSync(join(to, 'special')), []);
});

test('names that a filesystem takes for one, as it does not tell cases apart, are reported', async () => {
  mkdirSync(join(tree, 'cases/sub'), { recursive: true });
  mkdirSync(join(tree, 'cases/Sub'));
  const texts = ['README', 'readme', 'ÄÖ', 'äö', 'ß', 'ss'];
  // No text: bytes of which nothing is known.
  for (const name of [...texts, Buffer.of(0xc4), Buffer.of(0xe4)])
    writeFileSync(Buffer.concat([Buffer.from(`${tree}/cases/`), Buffer.from(name)]), '');
  const keeps = { ...everything, cases: false };
  const { incomplete = '' } = await copy(await fresh(), ['/cases', '/links'], { keeps });
  const found = incomplete
    .split('\n')
    .map((line) => line.replace(/ differs from another name in case alone, .*/, ''));
  assert.equal(found.length, 3, incomplete);
  for (const pair of [/^\/cases\/readme$/i, /^\/cases\/äö$/i, /^\/cases\/sub$/i])
    assert.ok(
      found.some((path) => pair.test(path)),
      incomplete,
    );
  assert.equal((await copy(await fresh(), ['/cases/README', '/links'], { keeps })).incomplete, undefined);
});

test('two directories that become one are named once, and names in different ones are different', () => {
  const foundIn = (paths: readonly string[], ...walk: readonly string[]) => {
    const names = new SameNames(paths);
    for (const path of walk) names.see(Buffer.from(path, 'latin1'));
    assert.equal(names.count, names.shown.length);
    return names.shown;
  };
  assert.deepEqual(foundIn(['/d'], '/d/a/x', '/d/a/X', '/d/a', '/d/b/x', '/d/b', '/d/A/x', '/d/A', '/d'), [
    '/d/a/X',
    '/d/A',
  ]);
  assert.deepEqual(foundIn(['/d', '/e'], '/d/x', '/d', '/e/X', '/e'), []);
  assert.deepEqual(foundIn(['/a/b/x', '/A/y', '/a/z'], '/a/b/x', '/A/y', '/a/z'), ['/A']);
  assert.deepEqual(foundIn(['/a/x', '/a/X', '/B'], '/a/x', '/a/X', '/B/b', '/B'), ['/a/X']);
});

test('of the names in a tree only those of a few directories are held', () => {
  const names = new SameNames(['/d']);
  const begun = process.memoryUsage().heapUsed;
  for (let directory = 0; directory < 10_000; directory++) {
    for (let file = 0; file < 100; file++) names.see(Buffer.from(`/d/${directory}/some-name-${file}`));
    names.see(Buffer.from(`/d/${directory}`));
  }
  names.see(Buffer.from('/d'));
  assert.equal(names.count, 0);
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  assert.ok(process.memoryUsage().heapUsed - begun < 10 * 2 ** 20);
});

test('on Btrfs no directory inherits a compression property that it does not have in the tree', async () => {
  const source = join(mount, 'inherit');
  mkdirSync(join(source, 'plain/deep/empty'), { recursive: true });
  writeFileSync(join(source, 'plain/deep/file'), 'content');
  await shell`btrfs property set ${source} compression lzo`;
  await shell`setfattr -n btrfs.compression -v zstd ${join(source, 'plain/deep/file')}`;
  // rsync takes times of one second for equal.
  await shell`find ${source} -depth -exec touch -d @1000000000.123456789 {} +`;
  const to = await fresh(mount);
  assert.equal((await copy(to, ['/plain'], { from: source, isBtrfs: true })).incomplete, undefined);
  assert.deepEqual(await treeDigest(to), await treeDigest(source));
});

test('what cannot be kept in full is reported, and the rest is there', async () => {
  // All attributes of a file in one block.
  const narrow = await ext4('copy-narrow', 32 * 2 ** 20, 1024);
  const { incomplete = '' } = await copy(narrow, ['/metadata']);
  assert.match(incomplete, /attributes.*"user\.large"\) failed/);
  assert.equal(readdirSync(join(narrow, 'metadata')).length, readdirSync(join(tree, 'metadata')).length);
});

test('a full disk is a failure', async () => {
  const small = await ext4('copy-full', 2 * 2 ** 20);
  writeFileSync(join(tree, 'too-large'), Buffer.alloc(4 * 2 ** 20, 7));
  await assert.rejects(copy(small, ['/too-large']), /rsync failed with exit code 11/);
});

test('it ends when it is asked to, and nothing of it keeps running', async () => {
  const controller = new AbortController();
  const to = await fresh();
  const copying = copy(to, await topPaths(tree), { signal: controller.signal });
  controller.abort(new Error('told to'));
  await assert.rejects(copying, /told to/);
  const { stdout } = await shell({ nothrow: true })`pgrep --full ${`rsync.*${to}`}`;
  assert.equal(stdout, '');
  await assert.rejects(copy(to, ['/links'], { signal: controller.signal }), /told to/);
});

test('what ext4 and Btrfs keep is found by trying, and nothing of it is left', async () => {
  for (const parent of [other, mount]) {
    const directory = await fresh(parent);
    assert.deepEqual(await capabilitiesOf(directory), everything);
    assert.deepEqual(readdirSync(directory), []);
  }
  await assert.rejects(capabilitiesOf(join(other, 'absent')), /cannot write to .*: it does not exist/);
});

test('no link is followed on the way to a path', async () => {
  mkdirSync(join(tree, 'look/dir'), { recursive: true });
  await shell`ln -s /etc ${join(tree, 'look/out')} && touch ${join(tree, 'look/file')}`;
  assert.deepEqual(await lookUp(tree, '/look/out'), { path: '/look/out', isThere: true });
  assert.deepEqual(await lookUp(tree, '/'), { path: '/', isThere: true });
  const names = ['dir', 'file', 'out'];
  const absent = async (path: string) => {
    const found = await lookUp(tree, path);
    assert.ok(!found.isThere);
    return { ...found, names: [...found.names].sort() };
  };
  const at = (path: string) => ({ path, isThere: false, nearest: '/look', names });
  assert.deepEqual(await absent('/look/out/passwd'), {
    ...at('/look/out/passwd'),
    obstacle: { path: '/look/out', linkTarget: '/etc' },
  });
  assert.deepEqual(await absent('/look/file/x'), {
    ...at('/look/file/x'),
    obstacle: { path: '/look/file', linkTarget: undefined },
  });
  assert.deepEqual(await absent('/look/no/x/y'), { ...at('/look/no/x/y'), obstacle: undefined });
});

test('a path is put to its place, with what is missing above it, and over nothing', async () => {
  const [from, to] = [await fresh(), await fresh()];
  await shell({ cwd: from })`mkdir -p a/b c && touch a/b/1 a/2 c/3 4`;
  await shell({ cwd: to })`mkdir c && touch c/own`;
  const device = statSync(to).dev;
  const paths = ['/a/b', '/a/2', '/c/3', '/4'];
  for (const path of paths) assert.equal(await whyNoPlace(to, device, path), undefined);
  for (const path of paths) await place(from, to, device, path);
  const placed = ['4', 'a', 'a/2', 'a/b', 'a/b/1', 'c', 'c/3', 'c/own'];
  assert.deepEqual(readdirSync(to, { recursive: true }).sort(), placed);

  await shell({ cwd: from })`mkdir -p c e f && touch c/own e/5 f/6`;
  await shell({ cwd: to })`mkdir hollow && ln -s hollow e && touch f`;
  assert.equal(await whyNoPlace(to, device, '/c/own'), `${to}/c/own exists already`);
  assert.equal(
    await whyNoPlace(to, device, '/e/5'),
    `${to}/e is a symbolic link, and a directory is needed there`,
  );
  assert.equal(await whyNoPlace(to, device, '/f/6'), `${to}/f is a file, and a directory is needed there`);
  assert.equal(await whyNoPlace(to, device + 1, '/c/7'), `${to}/c is another filesystem`);
  for (const path of ['/c/own', '/e/5', '/f/6'])
    await assert.rejects(place(from, to, device, path), /needed there|exists/);
  assert.deepEqual(readdirSync(to, { recursive: true }).sort(), [...placed, 'e', 'f', 'hollow'].sort());
});
