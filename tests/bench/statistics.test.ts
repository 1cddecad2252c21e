import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../lib/core/units.ts';
import { median, parseTimes, perUnit, summarise } from '../../testing/bench/measure/statistics.ts';

test('the median is the middle value, or the mean of the two in the middle', () => {
  assert.equal(median([3]), 3);
  assert.equal(median([10, 1, 2]), 2);
  assert.equal(median([4, 1, 100, 2]), 3);
  assert.throws(() => median([]), /median of nothing/);
});

test('a summary takes the median of time and processor time, and the most memory', () => {
  const run = (seconds: number, cpuSeconds: number, peakBytes: number) => ({
    seconds,
    cpuSeconds,
    peakBytes,
  });
  const runs = [run(1, 4, 5), run(2, 1, 9), run(4, 2, 7)];
  const expected = { mibPerSecond: 256, range: [128, 512], cpuSecondsPerGib: 4, peakBytes: 9 };
  assert.deepEqual(summarise(runs, 512 * MIB), { ...expected, passingMibPerSecond: undefined });
  const passing = runs.map((one) => ({ ...one, passingSeconds: one.seconds / 4 }));
  assert.deepEqual(summarise(passing, 512 * MIB), { ...expected, passingMibPerSecond: 1024 });
});

test('what bash says of times is added up, with a point or a comma', () => {
  assert.equal(parseTimes('0m0.250s 0m0.500s\n1m2.000s 0m0.125s\n'), 62.875);
  assert.equal(parseTimes('0m0,250s 0m0,500s\n1m2,000s 0m0,125s\n'), 62.875);
  assert.throws(() => parseTimes('0m0.250s 0m0.500s\n'), /not what bash's times prints/);
  assert.throws(() => parseTimes(''), /not what bash's times prints/);
});

test('the cost of one more is the slope between neighbours', () => {
  assert.deepEqual(
    perUnit([
      [1, 10],
      [3, 14],
      [13, 14],
    ]),
    [undefined, 2, 0],
  );
});
