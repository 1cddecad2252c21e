import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printable } from '../../lib/core/printable.ts';
import { runs } from '../support/fuzz.ts';

for (const [text, expected] of [
  ['grüße, 漢字, 🦀', 'grüße, 漢字, 🦀'],
  ['two\nlines\r\n\tand', 'two\\nlines\\r\\n\\tand'],
  ['\u001b[31mred\u001b[0m', '\\u001b[31mred\\u001b[0m'],
  ['\u009b2J and \u007f', '\\u009b2J and \\u007f'],
  ['a\0b', 'a\\u0000b'],
  ['txt.\u202eexe', 'txt.\\u202eexe'],
  ['\u2028\u2029', '\\u2028\\u2029'],
  ['half \ud83e', 'half \\ud83e'],
] as const) {
  test(`${JSON.stringify(text)} is shown as ${expected}`, () => assert.equal(printable(text), expected));
}

test('nothing that a terminal obeys is left, and what it shows stays', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(text);
      assert.doesNotMatch(shown, /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e]/u);
      assert.equal(printable(shown), shown);
      const plain = text.replace(/[^\p{L}\p{N} ]/gu, '');
      assert.equal(printable(plain), plain);
    }),
    runs(500),
  );
});
