import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRate } from '../../lib/core/rate.ts';

test('rates of a line are bits, rates of a program bytes', () => {
  for (const [text, bytes] of [
    ['20Mbit', 2_500_000],
    ['2.5Mbit/s', 312_500],
    ['800 kbit', 100_000],
    ['1Gbit', 125_000_000],
    ['10MiB', 10 * 2 ** 20],
    ['10MiB/s', 10 * 2 ** 20],
  ] as const) {
    assert.equal(parseRate(text), bytes, text);
  }
  for (const text of ['', 'fast', '20mbit', '0Mbit', '0', '-1Mbit', '20Mbit/h']) {
    assert.equal(parseRate(text), undefined, text);
  }
  assert.equal(parseRate('20'), 20, 'plain bytes, as sizes are');
});
