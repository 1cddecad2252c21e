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
