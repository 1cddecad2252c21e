import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StrayDirectories } from '../../../../lib/core/stream/rewrite/stray-directories.ts';
import { StreamInspector } from '../../../../lib/core/stream/stream-inspector.ts';
import {
  end,
  firstCommand,
  header,
  link,
  makeDirectory,
  makeFile,
  removeDirectory,
  rename,
  setTimes,
  setXattr,
  symlink,
  unlink,
  write,
} from '../../../../testing/harness/send-streams.ts';

const own = '11111111-2222-4333-8444-555555555555';
const parent = '99999999-8888-4777-8666-555555555555';

/** What passes of an incremental stream of some commands, and what it leaves behind. */
function pass(commands: readonly Uint8Array[], left: readonly string[] = [], on: string | null = parent) {
  const strays = new StrayDirectories(left);
  const inspector = new StreamInspector({ strays });
  const head = Buffer.concat([header(), firstCommand('x', own, 40, on === null ? undefined : [on, 36])]);
  const passed = Buffer.concat(inspector.push(Buffer.concat([head, ...commands, end])));
  inspector.finish();
  return {
    names: strays.names,
    commands: passed.subarray(head.length, passed.length - end.length),
    isUnchanged: passed.equals(Buffer.concat([head, ...commands, end])),
  };
}

// The commands of kernel 6.18 for `btrfs subvolume delete machines/debian; rm -r machines; mkdir other; mv kept o257-99-0`.
const deletion = [
  rename('machines', 'o257-7-0'),
  rename('kept', 'o257-99-0'),
  unlink('o257-7-0/file'),
  makeDirectory('o260-8-0'),
  rename('o260-8-0', 'other'),
  setTimes('other'),
  setTimes(''),
  setTimes('o257-99-0'),
];

test('what was moved out of the way, and is never spoken of again, is left behind; a user’s own directory of such a name is not', () => {
  const { names, isUnchanged } = pass(deletion);
  assert.deepEqual(names, ['o257-7-0']);
  assert.ok(isUnchanged, 'the stream passes as it is');
});

test('a full stream deletes nothing', () => {
  assert.deepEqual(pass([makeDirectory('o260-8-0'), rename('o260-8-0', 'o257-7-0')], [], null).names, []);
});

for (const [what, commands] of [
  ['it is removed', [removeDirectory('o257-7-0')]],
  ['it is unlinked, because it is a file', [unlink('o257-7-0')]],
  ['it is moved to where it belongs', [rename('o257-7-0', 'elsewhere')]],
  ['it gets an attribute', [setXattr('o257-7-0', 'user.a', 'b')]],
  ['it is written to', [write('o257-7-0', Buffer.alloc(50_000))]],
] as const) {
  test(`nothing is left behind where ${what}`, () => {
    assert.deepEqual(pass([rename('a', 'o257-7-0'), ...commands]).names, []);
  });
}

for (const name of [
  'b/o257-7-0',
  'o257-7-0/b',
  'o257-7',
  'o257-7-0-1',
  'xo257-7-0',
  'o257-7-0x',
  'o-7-0',
  'ö257-7-0',
]) {
  test(`${name} is none of those names`, () => {
    assert.deepEqual(pass([rename('a', name)]).names, []);
  });
}

test('what lies below it decides nothing: whether it is empty shows when it is removed', () => {
  assert.deepEqual(pass([...deletion, rename('o257-7-0/deep', 'b'), setTimes('o257-7-0/c')]).names, [
    'o257-7-0',
  ]);
});

test('what earlier streams have left stays known, until a stream speaks of it', () => {
  assert.deepEqual(pass(deletion, ['o300-1-0']).names, ['o300-1-0', 'o257-7-0']);
  assert.deepEqual(pass([setTimes('o300-1-0')], ['o300-1-0', 'o301-1-0']).names, ['o301-1-0']);
  assert.deepEqual(pass([removeDirectory('o300-1-0')], ['o300-1-0']).names, []);
});

for (const [what, command, left] of [
  ['a directory', makeDirectory('o257-7-0'), []],
  ['a file', makeFile('o257-7-0'), []],
  ['a symbolic link', symlink('o257-7-0', 'b'), []],
  ['a hard link', link('o257-7-0', 'b'), []],
  // It may be moved out of the way, or the user's.
  ['what is moved', rename('b', 'o257-7-0'), ['o257-7-0']],
] as const) {
  test(`${what} that comes into being where one was left finds its place free`, () => {
    const passed = pass([setTimes('b'), command, setTimes('')], ['o257-7-0']);
    const expected = [setTimes('b'), removeDirectory('o257-7-0'), command, setTimes('')];
    assert.deepEqual(passed.commands, Buffer.concat(expected));
    assert.deepEqual(passed.names, left);
  });
}

test('so many are watched and no more', () => {
  const names = Array.from({ length: 50_002 }, (_, index) => `o${index}-7-0`);
  const { names: watched } = pass([...names.map((name) => rename('a', name)), removeDirectory('o0-7-0')]);
  assert.deepEqual(watched, names.slice(1, 50_000));
});
