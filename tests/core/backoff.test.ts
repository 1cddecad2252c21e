import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffMs, retryAfterMs } from '../../lib/core/backoff.ts';

test('waits are anything from nothing to a bound that doubles, half a minute at most', () => {
  const bounds = [1, 2, 3, 7, 8, 9, 1000].map((attempt) => backoffMs(attempt, 1));
  assert.deepEqual(bounds, [250, 500, 1000, 16_000, 30_000, 30_000, 30_000]);
  const attempts = fc.integer({ min: 1, max: 10_000 });
  fc.assert(
    fc.property(attempts, fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const wait = backoffMs(attempt, random);
      return Number.isInteger(wait) && wait >= 0 && wait <= backoffMs(attempt, 1);
    }),
  );
  assert.equal(backoffMs(5, 0), 0);
});

test('Retry-After is seconds or a date, at most five minutes, and nothing where it is nonsense', () => {
  const now = Date.parse('2026-11-25T03:00:00Z');
  const table = [
    [undefined, undefined],
    ['0', 0],
    ['12', 12_000],
    ['86400', 300_000],
    ['Wed, 25 Nov 2026 03:00:30 GMT', 30_000],
    ['Wed, 25 Nov 2026 02:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
    ['', undefined],
  ] as const;
  for (const [header, expected] of table) assert.equal(retryAfterMs(header, now), expected, `${header}`);
});
