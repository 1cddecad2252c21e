import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeDrill } from '../../../lib/core/plan/drill-due.ts';
import { DAY_MS } from '../../../lib/core/units.ts';

const now = Date.UTC(2026, 10, 24);
const hour = 3_600_000;

test('a drill is due where there was none, or the last one is as old as it may be, less what a timer is late', () => {
  assert.deepEqual(judgeDrill('weekly', undefined, now), { due: true });
  assert.deepEqual(judgeDrill('weekly', now - 7 * DAY_MS + 3 * hour, now), { due: true });
  assert.deepEqual(judgeDrill('weekly', now - 7 * DAY_MS + 4 * hour, now), {
    due: false,
    atMs: now + 4 * hour,
  });
  assert.deepEqual(judgeDrill('monthly', now - 7 * DAY_MS, now), { due: false, atMs: now + 23 * DAY_MS });
  assert.deepEqual(judgeDrill('monthly', now - 30 * DAY_MS, now), { due: true });
});

test('a drill dated in the future says that the clock is wrong, but not by its step', () => {
  assert.deepEqual(judgeDrill('weekly', now + DAY_MS, now), { due: 'unknown' });
  assert.deepEqual(judgeDrill('weekly', now + 30_000, now), { due: false, atMs: now + 30_000 + 7 * DAY_MS });
});

test('drills that fail again and again come ever more seldom, up to the usual time', () => {
  const failed = (times: number, daysAgo: number) =>
    Array.from({ length: times }, (_, index) => now - (daysAgo + index) * DAY_MS);
  const judge = (times: number, daysAgo: number) =>
    judgeDrill('weekly', undefined, now, failed(times, daysAgo));
  assert.deepEqual(judge(1, 0), { due: true }, 'the network may have been away');
  assert.deepEqual(judge(2, 1), { due: false, atMs: now + DAY_MS, failures: 2 });
  assert.deepEqual(judge(2, 2), { due: true });
  assert.deepEqual(judge(3, 3), { due: false, atMs: now + DAY_MS, failures: 3 });
  assert.deepEqual(judge(60, 6), { due: false, atMs: now + DAY_MS, failures: 60 });
  assert.deepEqual(judge(60, 7), { due: true });
  assert.deepEqual(judge(3, -1), { due: true }, 'a clock that was ahead');
  const afterSound = judgeDrill('weekly', now - DAY_MS, now, failed(3, 0));
  assert.deepEqual(afterSound, { due: false, atMs: now + 6 * DAY_MS });
});
