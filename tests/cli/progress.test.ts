import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeProgress, startLines } from '../../lib/cli/progress.ts';
import { GIB, MIB } from '../../lib/core/units.ts';

for (const [what, [done, total, elapsedMs], expected] of [
  [
    'in the middle',
    [GIB, 4 * GIB, 100_000],
    'upload data  1.00 GiB of about 4.00 GiB (25%), 10.2 MiB/s, 5m 00s left',
  ],
  ['at the beginning', [0, GIB, 0], 'upload data  0 B of about 1.00 GiB (0%), 0 B/s'],
  ['at the end', [GIB, GIB, 1000], 'upload data  1.00 GiB of about 1.00 GiB (100%), 1.00 GiB/s, 0s left'],
  [
    'just before the end',
    [GIB - 1, GIB, 1000],
    'upload data  1024 MiB of about 1.00 GiB (99%), 1024 MiB/s, 0s left',
  ],
  ['without an estimate', [MIB, 0, 1000], 'upload data  1.00 MiB, 1.00 MiB/s'],
  ['beyond the estimate', [2 * MIB, MIB, 1000], 'upload data  2.00 MiB, 2.00 MiB/s'],
] as const) {
  test(`the line ${what} reads: ${expected}`, () => {
    assert.equal(describeProgress('upload data', done, total, elapsedMs, 0), expected);
  });
}

test('a bar has its width, whatever the share', () => {
  for (const done of [0, 1, 50, 99, 100]) {
    const bar = /[█░]+/.exec(describeProgress('x', done, 100, 1000, 20))?.[0] ?? '';
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
  assert.match(lines[0] ?? '', /^restore data {2}2\.00 MiB, /);
  assert.match(lines[1] ?? '', /^restore data {2}2\.00 MiB of about 8\.00 MiB \(25%\), /);
  progress.stop();
  assert.deepEqual(cleared, [timer]);
});
