import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constantLimit, limitAt, parseLimit, TokenBucket } from '../../lib/core/rate-limit.ts';

const MIB = 2 ** 20;

test('none, a rate and a timetable are read, in any order of the day', () => {
  assert.deepEqual(parseLimit('none'), []);
  assert.deepEqual(parseLimit('10MiB'), [{ minute: 0, bytesPerSecond: 10 * MIB }]);
  assert.deepEqual(parseLimit('8Mbit'), [{ minute: 0, bytesPerSecond: 1e6 }]);
  assert.deepEqual(parseLimit('23:00,none  08:30,1MiB'), [
    { minute: 510, bytesPerSecond: MIB },
    { minute: 1380, bytesPerSecond: undefined },
  ]);
});

for (const [text, why] of [
  ['fast', /has "fast", which is not a rate/],
  ['1KiB', /must be 64KiB a second at least/],
  ['08:00', /has "08:00", which is not a rate/],
  ['24:00,1MiB', /has "24:00,1MiB", which is not a time and a rate/],
  ['08:00,1MiB 10MiB', /has "10MiB", which is not a time and a rate/],
  ['08:00,1MiB 08:00,none', /two rates for one time/],
  ['', /has "", which is not a rate/],
] as const) {
  test(`"${text}" is refused`, () => {
    const parsed = parseLimit(text);
    assert.ok(typeof parsed === 'string');
    assert.match(parsed, why);
  });
}

test('by day the limit holds, by night there is none, and the evening goes on after midnight', () => {
  const table = parseLimit('08:00,1MiB 23:00,none');
  assert.ok(typeof table !== 'string');
  const at = (hours: number, minutes = 0) => limitAt(table, new Date(2026, 10, 28, hours, minutes));
  assert.equal(at(7, 59), undefined);
  assert.equal(at(8), MIB);
  assert.equal(at(22, 59), MIB);
  assert.equal(at(23), undefined);
  const nightly = parseLimit('06:00,1MiB 22:00,2MiB');
  assert.ok(typeof nightly !== 'string');
  assert.equal(limitAt(nightly, new Date(2026, 10, 28, 3)), 2 * MIB);
  assert.equal(limitAt([], new Date()), undefined);
});

test('a limit that holds all day is one to reckon with, and a timetable is not', () => {
  const of = (text: string) => {
    const table = parseLimit(text);
    assert.ok(typeof table !== 'string');
    return constantLimit(table);
  };
  assert.deepEqual([of('10MiB'), of('none'), of('08:00,1MiB 23:00,none')], [10 * MIB, undefined, undefined]);
});

test('bytes wait until those before them have had their time, whoever asks', () => {
  const bucket = new TokenBucket();
  const waits = [100, 100, 50, 100].map((bytes) => bucket.reserve(bytes, 100, 0));
  assert.deepEqual(waits, [0, 1000, 2000, 2500]);
  assert.equal(bucket.reserve(10, 100, 3000), 500, 'half a second of the last is left');
  assert.equal(bucket.reserve(10, 100, 60_000), 0, 'time that nobody used is not saved up');
  assert.equal(bucket.reserve(10, 100, 60_000), 100);
});

test('when the limit ends nothing waits any more', () => {
  const bucket = new TokenBucket();
  bucket.reserve(1000, 1, 0);
  assert.equal(bucket.reserve(1000, undefined, 10), 0);
  assert.equal(bucket.reserve(1, 1, 10), 0);
});
