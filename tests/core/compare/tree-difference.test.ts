import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDifferenceList } from '../../../lib/core/compare/difference-list.ts';
import { createReservoir } from '../../../lib/core/compare/reservoir.ts';
import {
  parseItemizedLine,
  printablePath,
  treeDifference,
} from '../../../lib/core/compare/tree-difference.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

const lines: [line: string, path: string, aspects: string[]][] = [
  ['=>fc........ large/text', 'large/text', ['content']],
  ['=>fcs....... large/text', 'large/text', ['content', 'size']],
  ['=>f.st...... a', 'a', ['size', 'mtime']],
  ['=<fc........ a', 'a', ['content']],
  ['=>f......... a', 'a', ['content']],
  ['=.f..T...... a', 'a', ['mtime']],
  ['=>f+++++++++ large/text', 'large/text', ['missing']],
  ['=cd+++++++++ folder/', 'folder', ['missing']],
  ['=hf+++++++++ linked', 'linked', ['missing']],
  ['=*deleting   folder/in', 'folder/in', ['extra']],
  ['=*deleting   folder/', 'folder', ['extra']],
  ['=.d..t...... ./', '.', ['mtime']],
  ['=.f...p...a. acl', 'acl', ['mode', 'acl']],
  ['=.f....og..x file', 'file', ['owner', 'group', 'xattr']],
  ['=cLc........ link', 'link', ['link-target']],
  ['=cDc.t...... device', 'device', ['device', 'mtime']],
  ['=cSc........ socket', 'socket', ['type']],
  ['=hf          one/original', 'one/original', ['hard-link']],
  ['=hL....o.... two/link', 'two/link', ['hard-link', 'owner']],
  ['=>fc........  leading and trailing ', ' leading and trailing ', ['content']],
  ['=>fc........ a -> b', 'a -> b', ['content']],
  ['=>fc........ line\\#012break', 'line\nbreak', ['content']],
  ['=>fc........ \\#134#012 and \\012', '\\#012 and \\012', ['content']],
  ['=>fc........ \\#351\\#377', '\xe9\xff', ['content']],
  ['=>fc........ back\\#', 'back\\#', ['content']],
];
for (const [line, path, aspects] of lines) {
  test(`reads ${line}`, () => {
    const difference = parseItemizedLine(line);
    assert.deepEqual(Buffer.from(difference?.pathBytes ?? []), bytes(path));
    assert.deepEqual(difference?.aspects, aspects);
  });
}

test('lines without the mark are no differences, marked lines that are not understood are errors', () => {
  assert.equal(parseItemizedLine('Number of files: 4 (reg: 2, dir: 2)'), undefined);
  assert.equal(parseItemizedLine(''), undefined);
  for (const line of [
    '=',
    '=>fc........',
    '=>fc........ ',
    '=.f......... a',
    '=>q......... a',
    '=>fq........ a',
    '=>fc....... a',
    '=.d.c....... a/',
    '=*message    a',
  ]) {
    assert.throws(() => parseItemizedLine(line), /unknown change/, line);
  }
});

/** Escapes as rsync does under LC_ALL=C: all but printable ASCII and tab, and a backslash that would look like it. */
function escapeLikeRsync(name: Uint8Array): string {
  const text = Buffer.from(name).toString('latin1');
  const octal = (character: string) => `\\#${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
  return text.replace(/\\(?=#\d{3})|[^\t -~]/g, octal);
}

const nameBytes = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 60, min: 1 }),
  fc
    .array(fc.constantFrom('\\', '#', '\\#', '012', '7', '\n', '/', 'é', ' '), { minLength: 1 })
    .map((parts) => Uint8Array.from(Buffer.from(parts.join('')))),
);

test('every name that rsync can print is read back to the byte', () => {
  fc.assert(
    fc.property(nameBytes, (name) => {
      // A name cannot end in a slash: rsync marks directories by it.
      fc.pre(name.at(-1) !== 0x2f);
      const read = parseItemizedLine(`=>fc........ ${escapeLikeRsync(name)}`)?.pathBytes;
      assert.deepEqual(read, name);
      assert.deepEqual(parseItemizedLine(`=cd+++++++++ ${escapeLikeRsync(name)}/`)?.pathBytes, name);
    }),
  );
});

test('a printable path is one line, keeps what can be read, and differs for different paths', () => {
  assert.equal(printablePath(Buffer.from('émoji-🦀 and space')), 'émoji-🦀 and space');
  assert.equal(printablePath(Buffer.from('a\nb\x1b[31m\x7f')), 'a\\x0ab\\x1b[31m\\x7f');
  assert.equal(printablePath(bytes('not \xe9\xff')), 'not \\xe9\\xff');
  assert.equal(printablePath(bytes('\\xe9')), '\\\\xe9');
  fc.assert(
    fc.property(nameBytes, nameBytes, (one, other) => {
      assert.doesNotMatch(printablePath(one), /\p{Cc}/u);
      assert.equal(printablePath(one) === printablePath(other), Buffer.compare(one, other) === 0);
    }),
  );
});

test('a list keeps the first differences, counts all, and joins the aspects of a path', () => {
  const list = createDifferenceList(2);
  list.add(treeDifference(bytes('a'), ['mtime']));
  list.add(treeDifference(bytes('a'), ['content', 'mtime']));
  list.add(treeDifference(bytes('b'), ['extra']));
  list.add(treeDifference(bytes('c'), ['extra']));
  list.add(treeDifference(bytes('b'), ['extra']));
  const kept = list.kept().map(({ path, aspects }) => [path, aspects]);
  assert.deepEqual(kept, [
    ['a', ['content', 'mtime']],
    ['b', ['extra']],
  ]);
  assert.equal(list.total(), 3);
});

test('a reservoir keeps everything up to its limit, and beyond it each element with equal probability', () => {
  const small = createReservoir<number>(3);
  for (const element of [1, 2, 3]) small.offer(element);
  assert.deepEqual(small.elements(), [1, 2, 3]);
  const none = createReservoir<number>(0);
  none.offer(1);
  assert.deepEqual(none.elements(), []);

  let state = 1;
  const random = () => {
    // The minimal standard generator (Park and Miller, 1988): a test must not fail by chance.
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const chosen = new Array<number>(20).fill(0);
  for (let trial = 0; trial < 10_000; trial += 1) {
    const reservoir = createReservoir<number>(5, random);
    for (let element = 0; element < 20; element += 1) reservoir.offer(element);
    for (const element of reservoir.elements()) chosen[element] = (chosen[element] ?? 0) + 1;
    assert.equal(new Set(reservoir.elements()).size, 5);
  }
  // Each is expected 2500 times with a standard deviation of 43.
  for (const count of chosen) assert.ok(Math.abs(count - 2500) < 5 * 43, `chosen ${chosen}`);
});
