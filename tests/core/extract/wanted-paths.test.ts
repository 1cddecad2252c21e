import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { shellWords } from '../../../lib/core/extract/shell-words.ts';
import { isBelow, outermost, readWantedPaths, shownPath } from '../../../lib/core/extract/wanted-paths.ts';

const latin1 = (text: string) => Buffer.from(text).toString('latin1');

const words: Readonly<Record<string, readonly string[]>> = {
  '': [],
  ' \t\n ': [],
  '/a /b': ['/a', '/b'],
  '\n/a\t/b ': ['/a', '/b'],
  "'/a b' /c": ['/a b', '/c'],
  '"/a b"/c': ['/a b/c'],
  '/a\\ b': ['/a b'],
  "'/it'\\''s'": ["/it's"],
  '"say \\"it\\" \\n \\$x"': ['say "it" \\n $x'],
  "'\\'": ['\\'],
  "''": [''],
  '/*?[a]$x`y`~#c;': ['/*?[a]$x`y`~#c;'],
  '/émoji-🦀': [latin1('/émoji-🦀')],
  "'/not-utf8-'$'\\351\\377\\200'": ['/not-utf8-\xe9\xff\x80'],
  "$'\\xe9\\x41b\\n\\t\\\\\\'\\\"\\e\\101\\u'": ['\xe9Ab\n\t\\\'"\x1bA\\u'],
  '/a$b': ['/a$b'],
};

for (const [text, expected] of Object.entries(words)) {
  test(`words of ${JSON.stringify(text)}`, () => assert.deepEqual(shellWords(text), expected));
}

for (const [text, reason] of [
  ["'/a", /quote is not closed/],
  ['"/a\\"', /quote is not closed/],
  ["$'/a\\'", /quote is not closed/],
  ['/a\\', /ends in a backslash/],
] as const) {
  test(`no words of ${JSON.stringify(text)}`, () => assert.throws(() => shellWords(text), reason));
}

const paths: Readonly<Record<string, readonly string[]>> = {
  '/a /b': ['/a', '/b'],
  '//a///b/ /a/b': ['/a/b'],
  '/a/b /a': ['/a/b', '/a'],
  '/': ['/'],
  "'/ leading' '/...'": ['/ leading', '/...'],
};

for (const [text, expected] of Object.entries(paths)) {
  test(`paths of ${JSON.stringify(text)}`, () => assert.deepEqual(readWantedPaths(text), expected));
}

for (const [text, message] of [
  ['', 'PATHS names nothing'],
  ['  ', 'PATHS names nothing'],
  ['/a b', 'PATHS: "b" does not begin with "/"'],
  ["''", 'PATHS: "" does not begin with "/"'],
  ['/a/../b', 'PATHS: "/a/../b" has a part "." or ".."'],
  ['/./a', 'PATHS: "/./a" has a part "." or ".."'],
  ["'/a", 'PATHS cannot be read: a quote is not closed'],
  ["$'/a\\0b'", 'PATHS: "/a\\x00b" has a NUL in it'],
  ["$'b\\e[31m'", 'PATHS: "b\\x1b[31m" does not begin with "/"'],
] as const) {
  test(`PATHS=${JSON.stringify(text)} is refused`, () => {
    assert.throws(
      () => readWantedPaths(text),
      (error: ToolError) => {
        assert.deepEqual([error.message, error.kind], [message, 'usage']);
        assert.ok(error.hint);
        return true;
      },
    );
  });
}

test('a list of paths may be as long as an argument of a program, 128 KiB', () => {
  const paths = Array.from({ length: 2 ** 14 - 1 }, (_, index) => `/${index.toString(32).padStart(6, '0')}`);
  assert.deepEqual(readWantedPaths(paths.join(' ')), paths);
});

test('what lies below another path comes along with it', () => {
  assert.deepEqual(outermost(['/a/b', '/a', '/ab', '/a/b/c']), ['/a', '/ab']);
  assert.deepEqual(outermost(['/a', '/', '/b']), ['/']);
});

test('below is below a name, not behind its letters', () => {
  assert.equal(isBelow('/a/b', '/a'), true);
  assert.equal(isBelow('/ab', '/a'), false);
  assert.equal(isBelow('/a', '/a'), false);
  assert.equal(isBelow('/a', '/'), true);
});

test('a path is shown so that no terminal obeys it', () => {
  assert.equal(shownPath('/\xe9\n'), '/\\xe9\\x0a');
  assert.equal(shownPath(latin1('/é')), '/é');
});
