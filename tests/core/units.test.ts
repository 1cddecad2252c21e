import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatCount,
  formatDuration,
  formatSize,
  GIB,
  KIB,
  MIB,
  parseDuration,
  parseSize,
  TIB,
} from '../../lib/core/units.ts';

const sizes = { '': 1, KiB: 1024, MiB: 1_048_576, GiB: 1_073_741_824, TiB: 1_099_511_627_776 };
const durations = { s: 1, m: 60, h: 3600, d: 86_400 };

test('the constants are binary units', () => {
  assert.deepEqual([KIB, MIB, GIB, TIB], [sizes.KiB, sizes.MiB, sizes.GiB, sizes.TiB]);
});

test('a size is its number times its unit, with or without a space', () => {
  fc.assert(
    fc.property(
      fc.nat(8000),
      fc.constantFrom(...(Object.keys(sizes) as (keyof typeof sizes)[])),
      fc.constantFrom('', ' '),
      (number, unit, space) => {
        assert.equal(parseSize(`${number}${unit && space}${unit}`), number * sizes[unit]);
      },
    ),
  );
});

test('a size may have blanks around it', () => {
  assert.equal(parseSize(' 64MiB\t'), 64 * MIB);
});

for (const text of [
  '',
  ' ',
  'MiB',
  '1.5GiB',
  '-1',
  '+1',
  '1e3',
  '0x10',
  '64MB',
  '64mib',
  '64M',
  '64  MiB',
  '6 4MiB',
  '٣MiB',
  '1MiB,',
  '9999999999999999',
  '999999999999999TiB',
  '9000TiB',
]) {
  test(`"${text}" is not a size`, () => assert.equal(parseSize(text), undefined));
}

test('a duration is its number times its unit, in seconds', () => {
  fc.assert(
    fc.property(
      fc.nat(999_999_999),
      fc.constantFrom(...(Object.keys(durations) as (keyof typeof durations)[])),
      (number, unit) => assert.equal(parseDuration(`${number}${unit}`), number * durations[unit]),
    ),
  );
});

for (const text of ['', 'd', '7', '1.5h', '-7d', '7D', '7days', '1h30m', '7  d', '9999999999s']) {
  test(`"${text}" is not a duration`, () => assert.equal(parseDuration(text), undefined));
}

for (const [bytes, text] of [
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.00 KiB'],
  [10.5 * MIB, '10.5 MiB'],
  [64 * MIB, '64.0 MiB'],
  [200 * GIB, '200 GiB'],
  [5 * TIB, '5.00 TiB'],
  [1.5 * GIB, '1.50 GiB'],
  [GIB - 1, '1024 MiB'],
] as const) {
  test(`${bytes} bytes are shown as ${text}`, () => assert.equal(formatSize(bytes), text));
}

for (const [seconds, text] of [
  [-3, '0s'],
  [0, '0s'],
  [41.4, '41s'],
  [59.6, '1m 00s'],
  [185, '3m 05s'],
  [3599, '59m 59s'],
  [3600, '1h 00m'],
  [7800, '2h 10m'],
  [86_399, '23h 59m'],
  [86_400, '1d 00h'],
  [356_400, '4d 03h'],
] as const) {
  test(`${seconds} seconds are shown as ${text}`, () => assert.equal(formatDuration(seconds), text));
}

for (const [count, text] of [
  [0, '0 chunks'],
  [1, '1 chunk'],
  [2, '2 chunks'],
  [1_234_567, '1,234,567 chunks'],
] as const) {
  test(`a count of ${count} is shown as ${text}`, () => assert.equal(formatCount(count, 'chunk'), text));
}
