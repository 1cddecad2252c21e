import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { nestedAmong } from '../../../lib/core/format/btrfs-output.ts';
import {
  canSendCompressed,
  deleteSubvolume,
  findSubvolumes,
  listSubvolumes,
  makeReadOnly,
  showSubvolume,
  showSubvolumes,
  takeSnapshot,
} from '../../../lib/edge/btrfs/btrfs.ts';
import { findNewExtents } from '../../../lib/edge/btrfs/measure-stream.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const mount = await loopBtrfs('btrfs');
const elsewhere = temporaryDirectory('btrfs');
const at = (name: string) => join(mount, name);

btrfs('subvolume', 'create', at('data'));
writeFileSync(at('data/file'), randomBytes(500_000));
mkdirSync(at('data/folder'));
mkdirSync(at('snapshots'));

function subvolume(name: string): string {
  btrfs('subvolume', 'create', at(name));
  return at(name);
}

test('a subvolume is described: a writable one, and its read-only snapshot', async () => {
  const source = await showSubvolume(at('data'));
  assert.match(source.uuid, /^[0-9a-f-]{36}$/);
  assert.deepEqual([source.parentUuid, source.receivedUuid, source.readOnly], [undefined, undefined, false]);
  await takeSnapshot(at('data'), at('shown'), 'read-only');
  const snapshot = await showSubvolume(at('shown'));
  assert.equal(snapshot.parentUuid, source.uuid);
  assert.equal(snapshot.readOnly, true);
  assert.notEqual(snapshot.uuid, source.uuid);
  assert.ok(snapshot.id > source.id && snapshot.generation > 0);
});

test('names with blanks, quotes and a dash in front are subvolumes as any other', async () => {
  for (const name of ['with blank', '-dash', "it's $HOME", 'Ümläut']) {
    const path = subvolume(name);
    assert.equal((await showSubvolume(path)).readOnly, false);
    await takeSnapshot(path, at(`copy of ${name}`), 'read-only');
    await deleteSubvolume(at(`copy of ${name}`));
    await deleteSubvolume(path);
    assert.equal(existsSync(path), false);
  }
});

test('what is not a subvolume is refused in words, with what to do', async () => {
  const nameHolder = `name the subvolume that holds it, ${at('data')}, or move its files into a new one: btrfs subvolume create`;
  for (const [path, kind, hint] of [
    [at('data/folder'), /^it is a plain directory$/, nameHolder],
    [at('data/file'), /^it is a file$/, nameHolder],
    [
      elsewhere,
      /^it is on \w+ \(\S+\)$/,
      'mount the Btrfs filesystem that belongs there, or check SUBVOLUMES',
    ],
  ] as const) {
    await assert.rejects(showSubvolume(path), (error: ToolError) => {
      const [what, reason = ''] = error.message.split(': ');
      assert.equal(what, `${path} is not a Btrfs subvolume`);
      assert.match(reason, kind);
      assert.equal(error.hint, hint);
      return true;
    });
  }
  await assert.rejects(showSubvolume(at('missing')), (error: ToolError) => {
    assert.equal(error.message, `cannot use ${at('missing')}: it does not exist`);
    return error instanceof ToolError;
  });
});

test('nested subvolumes are listed, those of others are not', async () => {
  const outer = subvolume('outer');
  const nestedIn = async (path: string) =>
    nestedAmong(await listSubvolumes(mount), await showSubvolume(path))
      .map((nested) => nested.path)
      .sort();
  assert.deepEqual(await nestedIn(outer), []);
  mkdirSync(join(outer, 'folder'));
  subvolume('outer/inner');
  subvolume('outer/folder/with blank');
  subvolume('outer/inner/most');
  assert.deepEqual(await nestedIn(outer), ['folder/with blank', 'inner', 'inner/most']);
  assert.deepEqual(await nestedIn(join(outer, 'inner')), ['most']);
  assert.ok((await nestedIn(mount)).includes('outer/inner/most'), 'all lie below the top level');
  await assert.rejects(listSubvolumes(elsewhere), /cannot list the subvolumes of/);
});

test('of a directory only the subvolumes directly in it are found, by name', async () => {
  const holder = at('holder');
  mkdirSync(join(holder, 'folder'), { recursive: true });
  writeFileSync(join(holder, 'file'), '');
  subvolume('holder/b');
  subvolume('holder/a');
  subvolume('holder/a/nested');
  const found = await findSubvolumes(holder);
  assert.deepEqual(
    found.map(({ name, path }) => [name, path]),
    [
      ['a', join(holder, 'a')],
      ['b', join(holder, 'b')],
    ],
  );
  assert.equal(found[0]?.uuid, (await showSubvolume(join(holder, 'a'))).uuid);
  assert.deepEqual(await findSubvolumes(at('snapshots')), []);
});

test('many are described as each by itself, whatever their names; what is none is named', async () => {
  const names = [
    '-dash',
    "it's $(HOME)",
    'line\nbreak',
    '*',
    'Ümläut',
    ...Array.from({ length: 12 }, (_, n) => `${n}`),
  ];
  mkdirSync(at('many'));
  const paths = names.map((name) => subvolume(`many/${name}`)).sort();
  const found = await findSubvolumes(at('many'));
  assert.deepEqual(
    found.map(({ path }) => path),
    paths,
  );
  const each = [];
  for (const { name, path } of found) each.push({ ...(await showSubvolume(path)), name, path });
  assert.deepEqual(found, each);
  const [first = '', second = ''] = paths;
  const shown = await showSubvolumes([first, second]);
  assert.deepEqual(
    shown.map(({ uuid }) => uuid),
    found.slice(0, 2).map(({ uuid }) => uuid),
  );
  const folder = at('data/folder');
  await assert.rejects(showSubvolumes([first, folder, second]), {
    message: `${folder} is not a Btrfs subvolume: it is a plain directory`,
  });
  for (const path of paths) await deleteSubvolume(path);
});

test('a writable snapshot can be written, a read-only one cannot until nothing but the flag differs', async () => {
  await takeSnapshot(at('data'), at('writable'), 'writable');
  writeFileSync(at('writable/new'), 'x');
  await makeReadOnly(at('writable'));
  assert.throws(() => writeFileSync(at('writable/newer'), 'x'), /EROFS/);
  assert.equal((await showSubvolume(at('writable'))).readOnly, true);
  await assert.rejects(makeReadOnly(at('missing')), /cannot make .*missing read-only/);
});

test('a snapshot into a place that does not exist, or of a plain folder, is an error with the words of btrfs', async () => {
  for (const [source, target] of [
    [at('data'), at('no/such/place')],
    [at('data/folder'), at('snapshots/x')],
  ] as const) {
    await assert.rejects(takeSnapshot(source, target, 'read-only'), (error: ToolError) => {
      assert.match(error.message, /cannot take a snapshot of/);
      assert.match(error.childOutput ?? '', /ERROR/);
      return true;
    });
    assert.equal(existsSync(target), false);
  }
});

test('a subvolume that is deleted is gone; deleting what is none is an error', async () => {
  const path = subvolume('short-lived');
  await deleteSubvolume(path);
  assert.equal(existsSync(path), false);
  await assert.rejects(deleteSubvolume(at('snapshots')), /cannot delete the subvolume/);
  assert.ok(statSync(at('snapshots')).isDirectory());
});

test('the estimate counts new file data since a generation', async () => {
  const path = subvolume('growing');
  writeFileSync(join(path, 'old'), randomBytes(1_000_000));
  await takeSnapshot(path, at('snapshots/one'), 'read-only');
  const { generation } = await showSubvolume(at('snapshots/one'));
  writeFileSync(join(path, 'new'), randomBytes(300_000));
  await takeSnapshot(path, at('snapshots/two'), 'read-only');
  const never = new AbortController().signal;
  const newBytes = async (since: number) => (await findNewExtents(at('snapshots/two'), since, never)).bytes;
  const [full, since] = [await newBytes(0), await newBytes(generation)];
  assert.ok(full >= 1_300_000 && full < 1_400_000, String(full));
  assert.ok(since >= 300_000 && since < 400_000, String(since));
  await assert.rejects(findNewExtents(at('missing'), 0, never), /btrfs subvolume find-new failed/);
});

test('whether compressed extents can be sent is known', async () => {
  assert.equal(typeof (await canSendCompressed()), 'boolean');
});

test('an active swap file in the source is explained', async (context) => {
  const path = subvolume('swapping');
  const file = join(path, 'swap');
  const run = (program: string, ...args: string[]) => {
    const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
    return status === 0 ? undefined : `${program}: ${(error?.message ?? stderr).trim()}`;
  };
  after(() => void spawnSync('swapoff', [file]));
  const obstacle =
    run('truncate', '-s', '0', file) ??
    run('chattr', '+C', file) ??
    run('dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', 'count=4') ??
    run('chmod', '0600', file) ??
    run('mkswap', file) ??
    run('swapon', file);
  if (obstacle) return context.skip(`no swap file here: ${obstacle}`);
  try {
    await assert.rejects(takeSnapshot(path, at('snapshots/swapping'), 'read-only'), (error: ToolError) => {
      assert.equal(error.message, `cannot take a snapshot of ${path}: it holds an active swap file`);
      assert.match(error.hint ?? '', /swapoff/);
      return true;
    });
    assert.equal(existsSync(at('snapshots/swapping')), false);
  } finally {
    assert.equal(run('swapoff', file), undefined);
  }
  await takeSnapshot(path, at('snapshots/swapping'), 'read-only');
});
