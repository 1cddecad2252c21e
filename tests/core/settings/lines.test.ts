import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'dotenv';
import fc from 'fast-check';
import { readSettingLine, readSettingLines } from '../../../lib/core/settings/lines.ts';

/** Asserts that a line is refused for a reason. */
function assertRefused(text: string, reason: RegExp, key?: string): void {
  const result = readSettingLine(text);
  assert.ok('reason' in result, `accepted: ${JSON.stringify(result)}`);
  assert.match(result.reason, reason);
  assert.equal(result.key, key);
}

for (const [text, value] of [
  ['A=b', 'b'],
  ['A=', ''],
  ['A = b', 'b'],
  ['A=b c ', 'b c '],
  ['export A=b', 'b'],
  ['export\t A=b', 'b'],
  ['A=b=c', 'b=c'],
  ['A=pass#word', 'pass#word'],
  ['A=pass # word', 'pass # word'],
  ['A=#b', '#b'],
  ['A="pass # word"', 'pass # word'],
  ["A='pass # word'", 'pass # word'],
  ['A=it\'s "b"', 'it\'s "b"'],
  ['A="it\'s"', "it's"],
  ['A=\'say "b"\'', 'say "b"'],
  ['A=`it\'s "b"`', 'it\'s "b"'],
  ['A=""', ''],
  ["A=''", ''],
  ['A="  b  "', '  b  '],
  ['A="b\\nc\\r"', 'b\nc\r'],
  ["A='b\\nc'", 'b\\nc'],
  ['A=`b\\nc`', 'b\\nc'],
  ['A=b\\nc', 'b\\nc'],
  ['A="b\\tc"', 'b\\tc'],
  ['A="say \\"b\\""', 'say \\"b\\"'],
  ['A=$(touch /tmp/x)', '$(touch /tmp/x)'],
  ['A="$(touch /tmp/x)"', '$(touch /tmp/x)'],
  ['A=`$(touch /tmp/x)`', '$(touch /tmp/x)'],
  [`A=\${HOME}`, `\${HOME}`],
  [`A="\${HOME} $HOME"`, `\${HOME} $HOME`],
] as const) {
  test(`${text} sets ${JSON.stringify(value)}`, () => {
    assert.deepEqual(readSettingLine(text), { key: 'A', value });
  });
}

for (const [text, reason, key] of [
  ['S3_BUCKET', /no "=" after the key/],
  ['S3_BUCKET my-bucket', /no "=" after the key/],
  ['S3_BUCKET: my-bucket', /no "=" after the key/],
  ['my key=b', /no "=" after the key/],
  ['=b', /no "=" after the key/],
  ['export', /no "=" after the key/],
  ['1A=b', /the key must be letters/],
  ['A-B=b', /the key must be letters/],
  ['A.B=b', /the key must be letters/],
  ['Ä=b', /the key must be letters/],
  ['A="b', /the quote " is not closed on the same line/, 'A'],
  ["A='b", /the quote ' is not closed on the same line/, 'A'],
  ['A=`b', /the quote ` is not closed on the same line/, 'A'],
  ['A="', /the quote " is not closed on the same line/, 'A'],
  ['A="b\\"', /the quote " is not closed on the same line/, 'A'],
  ['A="b\'', /the quote " is not closed on the same line/, 'A'],
  ['A="b" c', /there is text after the closing quote "/, 'A'],
  ['A="b" # c', /there is text after the closing quote ".*comments stand on a line of their own/, 'A'],
  ["A='b''c'", /there is text after the closing quote '/, 'A'],
  ['A=b\0c', /NUL/],
  ['A="b\0c"', /NUL/],
  ['A=b\rB=c', /line break other than LF or CR LF/],
  ['A=b\u2028c', /line break other than LF or CR LF/],
] as const) {
  test(`${JSON.stringify(text)} is refused`, () => assertRefused(text, reason, key));
}

test('a line of 65,536 characters is read and a longer one refused', () => {
  const longest = `A=${'b'.repeat(65_534)}`;
  assert.deepEqual(readSettingLine(longest), { key: 'A', value: 'b'.repeat(65_534) });
  assertRefused(`${longest}b`, /longer than 65536 characters/);
});

test('a very long quoted line is read in no time', { timeout: 5000 }, () => {
  const value = 'b\\'.repeat(30_000);
  assert.deepEqual(readSettingLine(`A="${value}b"`), { key: 'A', value: `${value}b` });
  assertRefused(`A="${value}`, /not closed/, 'A');
});

test('a refusal does not repeat what stands on the line, which may be a secret', () => {
  for (const text of ['hunter2', 'A="hunter2', 'A="x" hunter2', 'A\0=hunter2', 'A-B=hunter2']) {
    const result = readSettingLine(text);
    assert.ok('reason' in result, 'accepted');
    assert.doesNotMatch(result.reason, /hunter2/);
  }
});

test('the key of an object prototype is a key like any other', () => {
  assert.deepEqual(readSettingLine('__proto__="b"'), { key: '__proto__', value: 'b' });
  assert.deepEqual(readSettingLine("constructor='b'"), { key: 'constructor', value: 'b' });
});

test('blank lines and comments are skipped, and lines are counted from 1', () => {
  assert.deepEqual(readSettingLines('# first\n\n  # indented\n  A=b  \n\t\nexport B="c"\n#C=d'), {
    lines: [
      { key: 'A', value: 'b', line: 4 },
      { key: 'B', value: 'c', line: 6 },
    ],
    problems: [],
  });
});

test('a byte order mark and CR LF line ends are no part of keys and values', () => {
  assert.deepEqual(readSettingLines('\uFEFFA=b\r\n\r\n# c\r\nB="d"\r\n'), {
    lines: [
      { key: 'A', value: 'b', line: 1 },
      { key: 'B', value: 'd', line: 4 },
    ],
    problems: [],
  });
});

test('an empty text has neither lines nor problems', () => {
  for (const text of ['', '\n', '\uFEFF', '\r\n \r\n']) {
    assert.deepEqual(readSettingLines(text), { lines: [], problems: [] });
  }
});

test('every problem is reported with its line, and the good lines are still read', () => {
  const { lines, problems } = readSettingLines('A=1\nnonsense\nB="2\nA=3\nC=4\nC="5"\nD="6" x');
  assert.deepEqual(lines, [
    { key: 'A', value: '1', line: 1 },
    { key: 'C', value: '4', line: 5 },
  ]);
  assert.deepEqual(
    problems.map(({ line, key, reason }) => [line, key, reason.slice(0, 26)]),
    [
      [2, undefined, 'is not KEY=VALUE, a commen'],
      [3, 'B', 'the quote " is not closed '],
      [4, 'A', 'is already set on line 1'],
      [6, 'C', 'is already set on line 5'],
      [7, 'D', 'there is text after the cl'],
    ],
  );
});

test('a value does not run over its line, quoted or not', () => {
  const { lines, problems } = readSettingLines('A="b\nc"\nD=e');
  assert.deepEqual(lines, [{ key: 'D', value: 'e', line: 3 }]);
  assert.deepEqual(
    problems.map((problem) => problem.line),
    [1, 2],
  );
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc
    .array(fc.constantFrom('A', '=', '"', "'", '`', '\\', '#', ' ', '\n', '\r', '\0', '$', 'export '), {
      maxLength: 60,
    })
    .map((pieces) => pieces.join('')),
);

test('no text makes the reader throw, and no line that says something is lost', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const { lines, problems } = readSettingLines(text);
      const said = text
        .replace(/^\uFEFF/, '')
        .split('\n')
        .filter((line) => !/^\s*(#|$)/.test(line.trim()));
      assert.equal(lines.length + problems.length, said.length);
      for (const line of lines) assert.equal(typeof line.value, 'string');
      assert.equal(new Set(lines.map((line) => line.key)).size, lines.length);
    }),
    { numRuns: 1000 },
  );
});

const plainValue = fc
  .string({ unit: 'grapheme', maxLength: 80 })
  .filter((text) => !/["'`\\\n\r\0\u2028\u2029]/.test(text));

test('any value without quotes and line breaks comes back unquoted and in every quote', () => {
  fc.assert(
    fc.property(plainValue, (value) => {
      assert.deepEqual(readSettingLine(`A=${value.trim()}`), { key: 'A', value: value.trim() });
      for (const quote of ['"', "'", '`']) {
        assert.deepEqual(readSettingLine(`A=${quote}${value}${quote}`), { key: 'A', value });
      }
    }),
  );
});

test('a quoted value is what dotenv makes of it', () => {
  const body = fc.array(fc.constantFrom('a', ' ', '#', '\\', '\\n', '\\"', "\\'", '"', "'", '`', '$'), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(body, fc.constantFrom('"', "'", '`'), (pieces, quote) => {
      const line = `A=${quote}${pieces.join('')}${quote}`;
      const result = readSettingLine(line);
      if ('value' in result) assert.equal(result.value, parse(line).A);
    }),
    { numRuns: 1000 },
  );
});
