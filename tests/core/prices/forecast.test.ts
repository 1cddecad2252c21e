import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { forecast, forecastRestores, growthOfYear } from '../../../lib/core/prices/forecast.ts';
import { parsePriceFile } from '../../../lib/core/prices/price-file.ts';
import { GIB, MIB } from '../../../lib/core/units.ts';
import { repositoryRoot } from '../../../testing/harness/test-directory.ts';

const file = parsePriceFile(readFileSync(join(repositoryRoot, 'config/prices.json'), 'utf8'), 'prices.json');
const prices = file.regions['us-east-1'];
const layout = { chunkSizeBytes: 200 * GIB, partSizeBytes: 64 * MIB };

test('a first full backup of 500 GiB in DEEP_ARCHIVE over 20 Mbit', () => {
  const made = forecast({
    bytes: 500 * GIB,
    layout,
    storageClass: 'DEEP_ARCHIVE',
    uploadRate: 2.5e6,
    prices,
  });
  assert.deepEqual(made.objects, { wholeChunks: 0, partedChunks: 3, parts: 8000 });
  assert.equal(made.requests, 8006);
  assert.equal(Math.round((made.seconds ?? 0) / 3600), 60);
  assert.equal(made.dollarsPerMonth?.toFixed(3), '0.495');
  assert.equal(made.minimumDays, 180);
  assert.equal(made.minimumDollars?.toFixed(2), '2.97');
  assert.equal(made.uploadDollars?.toFixed(5), ((8003 * 0.005 + 3 * 0.05) / 1000).toFixed(5));
});

test('without a rate or a price nothing is made up', () => {
  const unknown = { bytes: GIB, layout, storageClass: 'STANDARD', uploadRate: undefined, prices: undefined };
  const made = forecast(unknown);
  assert.deepEqual([made.seconds, made.dollarsPerMonth, made.minimumDays], [undefined, undefined, 0]);
});

test('a year of increments of 1 GiB a day, with two full backups of 100 GiB', () => {
  const growth = growthOfYear({
    fullBytes: 100 * GIB,
    incrementBytes: 30 * GIB,
    days: 30,
    fullEverySeconds: 182.5 * 86_400,
  });
  assert.equal(growth, (365 + 200) * GIB);
  const none = { fullBytes: GIB, incrementBytes: 0, days: 30, fullEverySeconds: 1 };
  assert.equal(growthOfYear(none), undefined);
  assert.equal(growthOfYear({ ...none, incrementBytes: GIB, days: 0.5 }), undefined);
});

test('a restore has a line for each tier of its class, from cheap to dear', () => {
  const input = {
    bytes: 100 * GIB,
    chunks: 1,
    parts: 1600,
    bytesPerSecond: 10 * MIB,
    leastDays: 7,
    prices,
  };
  const tiersOf = (storageClass: string) =>
    forecastRestores({ ...input, storageClass }).map(
      ({ tier, thawSeconds }) => `${tier} ${thawSeconds / 3600}`,
    );
  assert.deepEqual(tiersOf('DEEP_ARCHIVE'), ['Bulk 48', 'Standard 12']);
  assert.deepEqual(
    tiersOf('GLACIER').map((text) => text.split(' ')[0]),
    ['Bulk', 'Standard', 'Expedited'],
  );
  assert.deepEqual(tiersOf('STANDARD'), ['Standard 0']);
  const [bulk] = forecastRestores({ ...input, storageClass: 'DEEP_ARCHIVE' });
  assert.equal(bulk?.transferSeconds, 10_240);
  assert.equal(bulk?.cost?.retrieval.toFixed(4), (0.25 + 0.000025).toFixed(4));
});
