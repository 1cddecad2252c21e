import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeProgress, startLines } from '../../lib/cli/progress.ts';
import { GIB, MIB } from '../../lib/core/units.ts';

const none = { label: 'upload data', doneBytes: 0, totalBytes: 0, rate: undefined, elapsedSeconds: 0 };

for (const [what, state, expected] of [
  [
    'in the middle',
    { doneBytes: GIB, totalBytes: 4 * GIB, rate: 10 * MIB },
    'upload data  25% of about 4.00 GiB  10.0 MiB/s  5m 07s left',
  ],
  ['at the beginning', { totalBytes: GIB }, 'upload data  0% of about 1.00 GiB'],
  ['before anything moves', { elapsedSeconds: 12 }, 'upload data  12s'],
  [
    'at the end',
    { doneBytes: GIB, totalBytes: GIB, rate: GIB },
    'upload data  100% of about 1.00 GiB  1.00 GiB/s  0s left',
  ],
  [
    'just before the end',
    { doneBytes: GIB - 1, totalBytes: GIB, rate: MIB },
    'upload data  99% of about 1.00 GiB  1.00 MiB/s  0s left',
  ],
  [
    'while btrfs receive writes what it was given',
    { doneBytes: GIB, totalBytes: GIB, rate: 0, waiting: { what: 'btrfs receive', seconds: 12 } },
    'upload data  waiting for btrfs receive  12s',
  ],
  ['without an estimate', { doneBytes: MIB, rate: MIB }, 'upload data  1.00 MiB  1.00 MiB/s'],
  [
    'beyond the estimate',
    { doneBytes: 2 * MIB, totalBytes: MIB, rate: MIB },
    'upload data  2.00 MiB  1.00 MiB/s',
  ],
] as const) {
  test(`the line ${what} reads: ${expected}`, () => {
    assert.equal(describeProgress({ ...none, ...state }, Number.POSITIVE_INFINITY), expected);
  });
}

test('in a narrow terminal the share and the time left stay longest, and nothing is longer than the line', () => {
  const state = { ...none, doneBytes: GIB, totalBytes: 4 * GIB, rate: 10 * MIB };
  for (const columns of [30, 40, 50, 60, 80, 120]) {
    const line = describeProgress(state, columns, 30);
    assert.ok(line.length <= columns, line);
    assert.match(line, /25%/);
    if (columns >= 40) assert.match(line, /5m 07s left/);
    assert.equal(/[█░]/.test(line), columns >= 80, line);
  }
});

test('a bar has the room that is left, at most its width, and its share', () => {
  for (const done of [0, 1, 50, 99, 100]) {
    const bar =
      /[█░]+/.exec(describeProgress({ ...none, doneBytes: done, totalBytes: 100 }, 200, 20))?.[0] ?? '';
    assert.equal(bar.length, 20);
    assert.equal(bar.split('█').length - 1, Math.round(done / 5));
  }
});

test('without a terminal a line comes every 30 seconds, until it is stopped', (context) => {
  let tick: () => void = () => undefined;
  const cleared: unknown[] = [];
  const timer = { unref: () => timer };
  context.mock.method(globalThis, 'setInterval', (callback: () => void, ms: number) => {
    assert.equal(ms, 30_000);
    tick = callback;
    return timer;
  });
  context.mock.method(globalThis, 'clearInterval', (which: unknown) => cleared.push(which));
  const lines: string[] = [];
  const progress = startLines('restore data', (line) => lines.push(line));
  progress.add(3 * MIB);
  progress.add(-MIB);
  tick();
  progress.expect(8 * MIB);
  tick();
  progress.waitFor('btrfs receive');
  tick();
  progress.add(MIB);
  tick();
  assert.match(lines[0] ?? '', /^restore data {2}2\.00 MiB$/);
  assert.match(lines[1] ?? '', /^restore data {2}25% of about 8\.00 MiB$/);
  assert.match(lines[2] ?? '', /^restore data {2}waiting for btrfs receive {2}0s$/);
  assert.match(lines[3] ?? '', /^restore data {2}37% of about/);
  progress.stop();
  assert.deepEqual(cleared, [timer]);
});
