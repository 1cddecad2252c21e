import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTable } from '../../../lib/cli/reports/table.ts';

test('columns are as wide as their widest cell, sizes and counts to the right, and no line ends in blanks', () => {
  const rows = [
    ['data', '1.20 GiB', '1 chunk', 'full'],
    ['a-long-name', '900 B', '1,024 chunks', ''],
  ];
  assert.equal(
    formatTable(['NAME', 'SIZE', 'CHUNKS', 'KIND'], rows),
    [
      'NAME         SIZE      CHUNKS        KIND',
      'data         1.20 GiB       1 chunk  full',
      'a-long-name     900 B  1,024 chunks',
    ].join('\n'),
  );
});

test('a cell is one line, without anything that a terminal would obey', () => {
  assert.equal(formatTable(['A', 'B'], [['x\ny', '\u001b[2J']]), 'A     B\nx\\ny  \\u001b[2J');
});

test('what only begins with a digit is text', () => {
  const heading = 'A HEADING THAT IS WIDER';
  assert.equal(formatTable([heading], [['20260101T020000Z']]), `${heading}\n20260101T020000Z`);
});

test('without rows the heading stands alone', () => {
  assert.equal(formatTable(['A', 'B'], []), 'A  B');
});

const plan = ['NAME', { title: 'SIZE', leaveOut: 1 }, { title: 'CLASS', leaveOut: 2 }, 'WHY'] as const;
const why = 'beyond the newest two generations that are kept';

for (const [width, expected] of [
  [80, ['NAME  SIZE   CLASS         WHY', `data  900 B  DEEP_ARCHIVE  ${why}`]],
  [
    60,
    [
      'NAME  SIZE   CLASS         WHY',
      'data  900 B  DEEP_ARCHIVE  beyond the newest two generations',
      '                           that are kept',
    ],
  ],
  [40, ['NAME  SIZE   WHY', 'data  900 B  beyond the newest two', '             generations that are kept']],
  [30, ['NAME  WHY', 'data  beyond the newest two', '      generations that are', '      kept']],
] as const) {
  test(`in ${width} characters what matters least is left out first, and the last column is wrapped`, () => {
    assert.equal(formatTable(plan, [['data', '900 B', 'DEEP_ARCHIVE', why]], width), expected.join('\n'));
  });
}
