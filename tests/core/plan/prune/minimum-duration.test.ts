import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chargeFor } from '../../../../lib/core/plan/prune/minimum-duration.ts';
import { GIB } from '../../../../lib/core/units.ts';

const now = new Date('2026-07-01T12:00:00Z');
const stored = (storageClass: string, ageDays: number | undefined, sizeBytes = 3 * GIB) => ({
  key: 'k',
  etag: '',
  sizeBytes,
  storageClass,
  modifiedAt: ageDays === undefined ? undefined : new Date(now.getTime() - ageDays * 86_400_000),
});

for (const [storageClass, days] of [
  ['DEEP_ARCHIVE', 180],
  ['GLACIER', 90],
  ['GLACIER_IR', 90],
  ['STANDARD_IA', 30],
  ['ONEZONE_IA', 30],
] as const) {
  test(`${storageClass} is charged for ${days} days, whenever it is removed`, () => {
    assert.deepEqual(chargeFor([stored(storageClass, 0)], now), {
      gibMonths: (3 * days) / 30,
      daysLeft: days,
    });
    assert.deepEqual(chargeFor([stored(storageClass, days - 10)], now), { gibMonths: 1, daysLeft: 10 });
    assert.deepEqual(chargeFor([stored(storageClass, days)], now), { gibMonths: 0, daysLeft: 0 });
    assert.deepEqual(chargeFor([stored(storageClass, days + 1000)], now), { gibMonths: 0, daysLeft: 0 });
  });
}

for (const storageClass of ['STANDARD', 'INTELLIGENT_TIERING', 'REDUCED_REDUNDANCY', 'SOMETHING_NEW']) {
  test(`${storageClass} has no minimum`, () => {
    assert.deepEqual(chargeFor([stored(storageClass, 0)], now), { gibMonths: 0, daysLeft: 0 });
  });
}

test('charges add up, days do not; parts of a day are rounded up for people only', () => {
  const charge = chargeFor(
    [stored('GLACIER', 60), stored('DEEP_ARCHIVE', 169.5, GIB), stored('STANDARD', 0)],
    now,
  );
  assert.equal(charge.daysLeft, 30);
  assert.ok(Math.abs(charge.gibMonths - (3 + 10.5 / 30)) < 1e-9, String(charge.gibMonths));
  assert.equal(chargeFor([stored('DEEP_ARCHIVE', 169.5)], now).daysLeft, 11);
});

test('an object that was moved into its class counts as new, whatever its age', () => {
  const moved = stored('DEEP_ARCHIVE', 170);
  assert.equal(chargeFor([moved], now).daysLeft, 10);
  assert.equal(chargeFor([moved], now, new Set(['k'])).daysLeft, 180);
});

test('an object from the future, or without a time, counts as new', () => {
  for (const age of [-5, undefined]) assert.equal(chargeFor([stored('STANDARD_IA', age)], now).daysLeft, 30);
});
