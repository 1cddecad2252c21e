/** Files and folders out of backups: what comes, what is refused before anything is fetched, and what is left, which is nothing. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import type { ToolError } from '../../lib/core/errors.ts';
import { type ExtractRequest, extract, planExtract } from '../../lib/stage/restore/extract/extract.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { seedData } from '../../testing/harness/seed-data.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { ext4 } from '../support/ext4.ts';
import { unmount } from '../support/unmount-everywhere.ts';
import { edit, refusal } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { createWorld, errorLines } from './world.ts';

const disk = await ext4('extract', 256 * 2 ** 20);
const wanted = `/links /metadata "/names/with space" '/names/not-utf8-'$'\\351\\377\\200' /layouts/sparse`;
/** For all tests of this file: what they do leaves it as it is. */
const world = await createWorld({ after });
const spool = join(world.directory, 'spool');
const host = await hostIn(world, { settings: { SPOOL_DIR: spool } });
await seedData(world.data, { seed: 5, files: 64, totalBytes: 4 * 2 ** 20 });
await shell`btrfs subvolume create ${join(world.data, 'nested')}`;
/** The first backup, and the tree that it is of. */
const first = (await host.backUp()).key;
const firstDigest = await treeDigest(join(world.snapshots, readdirSync(world.snapshots)[0] ?? ''));
writeFileSync(join(world.data, 'links/one/original'), 'changed since');
rmSync(join(world.data, 'metadata'), { recursive: true });
await new Promise((resolve) => setTimeout(resolve, 1000));
await host.backUp();
let destinations = 0;

async function run(to: string, paths: string, changes: Partial<ExtractRequest> = {}, from = host) {
  const request = { subvolume: 'data', selection: {}, thaw: {}, paths, to, ...changes };
  return extract(from.context, await planExtract(from.context, request), true);
}

const fresh = () => join(disk, `to-${destinations++}`);
const fetches = () => world.server.requests.filter(({ operation }) => operation === 'GetObject').length;

/** No image, no mount, no loop device, and no directory of ours in TO. */
async function assertNothingLeft(to?: string): Promise<void> {
  assert.deepEqual(readdirSync(spool), []);
  // Of this test: others may run on the same machine.
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(spool));
  if (to !== undefined) {
    assert.deepEqual(
      readdirSync(to).filter((name) => name.startsWith('.btrfs-to-s3-')),
      [],
    );
  }
}

/** The lines of a digest for some paths, without what only Btrfs keeps. */
const linesOf = (digest: readonly string[], pattern: RegExp) =>
  digest.filter((line) => pattern.test(line)).map((line) => line.replace(/ {2}btrfs\.compression=\S+/, ''));

test('files and folders of an earlier backup come to ext4 as they were', async () => {
  const to = fresh();
  const outcome = await run(to, wanted, { selection: { manifest: first } });
  assert.equal(outcome.failure, undefined);
  assert.equal(outcome.copied.length, 5);
  assert.deepEqual(outcome.missing, []);
  const pattern = /^(links|metadata|names|layouts)(\/| {2})/;
  const expected = linesOf(
    firstDigest,
    /^(links|metadata)(\/| {2})|^(names|layouts) {2}|^names\/(with space|not-utf8\S*) {2}|^layouts\/sparse {2}/,
  );
  assert.deepEqual(linesOf(await treeDigest(to), pattern), expected);
  assert.ok(expected.length > 30);
  const { stdout } =
    await shell`stat --format=%b ${join(to, 'layouts/sparse')} ${join(world.data, 'layouts/sparse')}`;
  const [blocks, ofSource] = stdout.trim().split('\n').map(Number);
  assert.ok(blocks !== undefined && blocks <= (ofSource ?? 0), 'holes are holes');
  await assertNothingLeft(to);
});

test('the newest backup is what is meant otherwise, and all of it is PATHS=/', async () => {
  const to = fresh();
  mkdirSync(join(to, 'lost+found'), { recursive: true });
  const { missing } = await run(to, '/');
  assert.deepEqual(missing, [{ path: 'nested', backup: null }]);
  assert.equal(readFileSync(join(to, 'links/again'), 'utf8'), 'changed since');
  const [newest = ''] = readdirSync(world.snapshots).filter((name) => name.endsWith('inc'));
  const digest = linesOf(await treeDigest(join(world.snapshots, newest)), /^(?!\. {2}|nested)/);
  assert.deepEqual(linesOf(await treeDigest(to), /^(?!\. {2}|lost\+found)/), digest);
  await assertNothingLeft(to);
});

test('a second extract adds to the first, beside what is there', async () => {
  const to = fresh();
  await run(to, '/links/again');
  await run(to, '/links/one /special/fifo');
  assert.deepEqual(readdirSync(join(to, 'links')).sort(), ['again', 'one']);
  assert.deepEqual(readdirSync(join(to, 'special')), ['fifo']);
});

test('what is there is never written over, and that is found before anything is fetched', async () => {
  const to = fresh();
  mkdirSync(join(to, 'links'), { recursive: true });
  writeFileSync(join(to, 'links/again'), 'mine');
  writeFileSync(join(to, 'special'), '');
  const since = fetches();
  const there = await refusal(run(to, '/links/again'));
  assert.deepEqual([there.kind, there.message], ['usage', `${to}/links/again exists already`]);
  assert.match(
    (await refusal(run(to, '/special/fifo'))).message,
    /special is a file, and a directory is needed/,
  );
  assert.match((await refusal(run(to, '/'))).message, /is not empty$/);
  assert.match(
    (await refusal(run(join(to, 'no/such'), '/links'))).message,
    /directory .*\/no does not exist/,
  );
  assert.match((await refusal(run(join(to, 'special'), '/links'))).message, /is not a directory/);
  assert.equal(fetches(), since);
  assert.equal(readFileSync(join(to, 'links/again'), 'utf8'), 'mine');
});

test('what is bound to fail is refused before anything is fetched', async (t) => {
  const chunks = () =>
    world.server.requests.filter(({ key, operation }) => operation === 'GetObject' && key?.endsWith('.bin'))
      .length;
  const since = chunks();
  const to = fresh();
  const nested = await refusal(run(to, '/nested/inside'));
  assert.match(
    nested.message,
    /^\/nested\/inside is in the nested subvolume \/nested, which is no part of this backup$/,
  );
  assert.match(nested.hint ?? '', /no backup under this prefix has it/);
  const absent = await refusal(run(to, '/links/agian /links'));
  assert.equal(
    absent.message,
    '/links/agian is not in the backup; the nearest directory that is: /links (which has again)',
  );
  const [newest = ''] = readdirSync(world.snapshots).filter((name) => name.endsWith('inc'));
  await edit(join(world.snapshots, newest), () => rm(join(world.snapshots, newest, 'links/again')));
  const plan = await planExtract(host.context, {
    subvolume: 'data',
    selection: {},
    thaw: {},
    paths: '/links/again',
    to,
  });
  assert.equal(plan.snapshotHere, undefined, 'one that was changed says nothing of the backup');
  const small = await hostIn(world, { settings: { SPOOL_DIR: await tiny(t, 1) } });
  const room = await refusal(run(to, '/links', {}, small));
  assert.match(room.message, /^the scratch image needs about .*, but \S+ has .* free$/);
  assert.match(room.hint ?? '', /SPOOL_DIR/);
  assert.equal(chunks(), since);
  assert.throws(() => readdirSync(to), /ENOENT/, 'TO is not made for what fails');
});

test('a disk that fills up below the image is named, and nothing is left', async (t) => {
  // The stream fits, the filesystem around it does not.
  const spoolDirectory = await tiny(t, 6);
  const small = await hostIn(world, { settings: { SPOOL_DIR: spoolDirectory } });
  const to = fresh();
  const error = await refusal(run(to, '/links', {}, small));
  assert.match(error.message, /^the scratch image does not fit into \S+, which is full: /);
  assert.match(error.hint ?? '', /SPOOL_DIR/);
  assert.deepEqual(readdirSync(spoolDirectory), []);
  assert.throws(() => readdirSync(to), /ENOENT/);
  await assertNothingLeft();
});

test('a TO without room is named with what is needed', async () => {
  const to = await ext4('extract-small', 2 * 2 ** 20);
  const error = await refusal(run(to, '/large'));
  assert.match(error.message, /^the paths take .* MiB, but TO \S+ has .* free$/);
  assert.deepEqual(readdirSync(to), []);
  await assertNothingLeft(to);
});

test('a dry run says what it would do, and does none of it', async () => {
  const to = fresh();
  const args = [
    '--subvolume',
    'data',
    '--paths',
    '/links',
    '--to',
    to,
    '--set',
    `SPOOL_DIR=${spool}`,
    '--dry-run',
    '--manifest',
    first,
  ];
  const { stdout, exitCode } = await world.run('extract.ts', ...args);
  assert.equal(exitCode, 0);
  assert.match(
    stdout,
    /^data as of .*: 1 backup\nfetches \S+ \S+ in about \d+ requests\nthaws nothing: all chunks can be read\ntakes .* to .* in \S+spool until it is done; .* are free there\ncopies 1 path to \S+, which has .* free\nthe same is in \S+full on this host: to copy it from there costs nothing\n$/,
  );
  const json = JSON.parse((await world.run('extract.ts', ...args, '--json')).stdout);
  assert.deepEqual([json.paths, json.chain.length, json.thaw.would_request], [['/links'], 1, 0]);
  assert.throws(() => readdirSync(to), /ENOENT/);
});

test('the script copies what there is, and exits 1 for what is not', async () => {
  // Without the snapshot it is found when the bytes are paid for.
  const [newest = ''] = readdirSync(world.snapshots).filter((name) => name.endsWith('inc'));
  await shell`btrfs subvolume delete ${join(world.snapshots, newest)}`;
  const to = fresh();
  const args = ['--subvolume', 'data', '--to', to, '--set', `SPOOL_DIR=${spool}`, '--json'];
  const paths = '/links/again /links/folder/x /no/such /links/one/original/x';
  const result = await world.run('extract.ts', ...args, '--paths', paths);
  assert.equal(result.exitCode, 1, result.stderr);
  assert.deepEqual(JSON.parse(result.stdout).copied, ['/links/again']);
  const line = errorLines(result).join('\n');
  assert.match(
    line,
    /\/links\/folder\/x is not in the backup: \/links\/folder is a symbolic link to two; name the path/,
  );
  assert.match(line, /\/no\/such is not in the backup; the nearest directory that is: \//);
  assert.match(line, /\/links\/one\/original is no directory there/);
  assert.deepEqual(readdirSync(to), ['links']);
  const none = await world.run('extract.ts', ...args, '--paths', '/no/such');
  assert.deepEqual([none.exitCode, none.stdout], [1, '']);
  for (const [missing, ...given] of [
    ['SUBVOLUME', '--paths', '/a', '--to', to],
    ['PATHS', '--subvolume', 'data', '--to', to],
    ['TO', '--subvolume', 'data', '--paths', '/a'],
  ] as const) {
    const refused = await world.run('extract.ts', ...given);
    assert.equal(refused.exitCode, 2);
    assert.match(errorLines(refused)[0] ?? '', new RegExp(`^${missing} is not given`));
  }
  await assertNothingLeft(to);
});

/** A filesystem in memory for the scratch image, with so many MiB. */
async function tiny(t: TestContext, mib: number): Promise<string> {
  const directory = join(world.directory, `tiny-${destinations++}`);
  mkdirSync(directory);
  await shell`mount -t tmpfs -o ${`size=${mib}M`} tiny ${directory}`;
  t.after(() => unmount(directory));
  return directory;
}

test('a SNAPSHOT_DIR that cannot be read, as on a disk that has died, ends neither extract nor restore', async () => {
  const SNAPSHOT_DIR = join(world.directory, 'no-directory');
  writeFileSync(SNAPSHOT_DIR, '');
  const there = await hostIn(world, { settings: { SPOOL_DIR: spool, SNAPSHOT_DIR } });
  const { copied } = await run(fresh(), '/links', {}, there);
  assert.deepEqual(copied, ['/links']);
  const target = join(world.mount, 'restored');
  await there.restore(target, {}, { verifyMode: 'full' });
  await shell`btrfs subvolume delete ${target}`;
  assert.match(
    there.warnings.join('\n'),
    /the snapshots in SNAPSHOT_DIR \S+ cannot be looked at: cannot look into \S+no-directory: a part of the path is not a directory/,
  );
  const error = await refusal(there.restore(target, {}, { continuesChain: true }));
  assert.deepEqual([error.kind, existsSync(target)], ['usage', false]);
  assert.match(error.message, /^CONTINUE=1 is not possible: SNAPSHOT_DIR \S+ is no directory/);
});

test('other failures are reported as they are', async () => {
  const error: ToolError = await refusal(run(fresh(), '/links', { subvolume: 'other' }));
  assert.match(error.message, /there is no backup of subvolume "other"/);
});
