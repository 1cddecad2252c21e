/** What a look at all inodes finds, and that it has to be made: btrfs send itself does not tell the inodes of two branches apart. */
import assert from 'node:assert/strict';
import { lstat, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { whyNotIncremental } from '../../../lib/edge/btrfs/compare-inodes.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';

const mount = await loopBtrfs('compare-inodes');
const { signal } = new AbortController();
let families = 0;

/** A read-only snapshot of each of two clones of one origin, which were changed at the same time. */
async function twoBranches(
  changeOne: (root: string) => Promise<unknown>,
  changeOther: (root: string) => Promise<unknown>,
): Promise<readonly [one: string, other: string]> {
  const root = join(mount, `family-${families++}`);
  await mkdir(root);
  const at = (name: string) => join(root, name);
  btrfs('subvolume', 'create', at('origin'));
  await writeFile(at('origin/common'), 'common');
  for (const name of ['one', 'other']) btrfs('subvolume', 'snapshot', at('origin'), at(name));
  await changeOne(at('one'));
  await changeOther(at('other'));
  for (const name of ['one', 'other']) btrfs('subvolume', 'snapshot', '-r', at(name), at(`${name}-ro`));
  return [at('one-ro'), at('other-ro')];
}

const file = (content: string) => (root: string) => writeFile(join(root, 'new'), content);
const directory = (root: string) => mkdir(join(root, 'new'));
const link = (target: string) => (root: string) => symlink(target, join(root, 'new'));
const device = (minor: number) => (root: string) => shell`mknod ${join(root, 'new')} c 1 ${minor}`;
const nothing = () => Promise.resolve();

for (const [what, one, other, found] of [
  [
    'a directory in the place of a file',
    file('a'),
    directory,
    /is a directory, .* as the file of that number$/,
  ],
  ['a link in the place of a directory', directory, link('a'), /is a symbolic link, .* as the directory/],
  ['a link to something else', link('a'), link('b'), /is a symbolic link, .* as the symbolic link/],
  ['another device', device(3), device(5), /is a device, .* as the device/],
  ['another file, which btrfs send compares', file('a'), file('bb'), undefined],
  ['the same link', link('a'), link('a'), undefined],
  ['something new in one alone', nothing, file('a'), undefined],
] as const) {
  test(`two branches that were written to at the same time: ${what}`, async () => {
    const [parent, source] = await twoBranches(one, other);
    const why = await whyNotIncremental(parent, source, signal);
    if (found) assert.match(why ?? '', found);
    else assert.equal(why, undefined);
  });
}

test('files that were made in one tick of the clock, in one size, are compared by what is in them', async () => {
  /** Kernels before 6.13 wrote times down in ticks of some milliseconds: these are in one. */
  const coarse = async (path: string) => {
    const status = await lstat(path, { bigint: true });
    for (const field of ['mtimeNs', 'ctimeNs', 'birthtimeNs'] as const) status[field] = 1n;
    return status;
  };
  let tick = 1n;
  /** Newer kernels tell times apart far below a tick, mostly. */
  const fine = async (path: string) => {
    const status = await lstat(path, { bigint: true });
    for (const field of ['mtimeNs', 'ctimeNs', 'birthtimeNs'] as const) status[field] = tick++;
    return status;
  };
  const [parent, source] = await twoBranches(file('one'), file('two'));
  assert.equal(await whyNotIncremental(parent, source, signal, fine), undefined, 'times tell them apart');
  assert.match(
    (await whyNotIncremental(parent, source, signal, coarse)) ?? '',
    /^inode \d+ is another file in each, of one size and time$/,
  );
  const [same, alike] = await twoBranches(file('one'), file('one'));
  assert.equal(await whyNotIncremental(same, alike, signal, coarse), undefined);
});

test('two of different origins have nothing in common', async () => {
  const [one] = await twoBranches(nothing, nothing);
  btrfs('subvolume', 'create', join(mount, 'stranger'));
  btrfs('subvolume', 'snapshot', '-r', join(mount, 'stranger'), join(mount, 'stranger-ro'));
  assert.equal(
    await whyNotIncremental(one, join(mount, 'stranger-ro'), signal),
    'they have no file in common',
  );
});

test('a comparison that is stopped, or cannot be made, says so', async () => {
  const [one, other] = await twoBranches(nothing, nothing);
  const reason = new Error('stopped');
  await assert.rejects(whyNotIncremental(one, other, AbortSignal.abort(reason)), reason);
  await assert.rejects(
    whyNotIncremental(one, join(mount, 'nowhere'), signal),
    /btrfs send of \S+nowhere failed/,
  );
});
