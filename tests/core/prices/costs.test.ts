/** Money, by sums that were worked out by hand from the prices of us-east-1 in config/prices.json. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  formatDollars,
  minimumCost,
  restoreCost,
  storageCost,
  transferCost,
  uploadCost,
} from '../../../lib/core/prices/costs.ts';
import { parsePriceFile, pricesFor } from '../../../lib/core/prices/price-file.ts';
import { GIB } from '../../../lib/core/units.ts';
import { repositoryRoot } from '../../../testing/harness/test-directory.ts';

const file = parsePriceFile(readFileSync(join(repositoryRoot, 'config/prices.json'), 'utf8'), 'prices.json');
const prices = pricesFor({ region: 'us-east-1', isAws: true }, undefined, file);

const near = (actual: number | undefined, expected: number, what?: string) => {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) < 1e-9,
    `${what ?? ''} ${actual} ${expected}`,
  );
};

test('1 TiB in DEEP_ARCHIVE: 6 chunks of 200 GiB at most, 16,384 parts of 64 MiB', () => {
  near(storageCost({ DEEP_ARCHIVE: 1024 * GIB }, prices), 1.01376, '1024 × 0.00099');
  // 6 completions at 0.05 a thousand, 6 beginnings and 16,384 parts at 0.005.
  near(uploadCost({ wholeChunks: 0, partedChunks: 6, parts: 16_384 }, 'DEEP_ARCHIVE', prices), 0.08225);
  near(minimumCost(1024 * GIB, 'DEEP_ARCHIVE', 180, prices), 6.08256, '1.01376 × 180 / 30');
  const volume = { bytes: 1024 * GIB, chunks: 6, parts: 16_384, days: 7 };
  const bulk = restoreCost(volume, 'DEEP_ARCHIVE', 'Bulk', prices);
  near(bulk?.retrieval, 2.56015, '1024 × 0.0025 + 6 × 0.025 / 1000');
  near(bulk?.copies, (1024 * 0.023 * 7) / 30);
  near(bulk?.requests, 0.0065536, '16,384 × 0.0004 / 1000');
  near(bulk?.transfer, 83.16, '924 × 0.09');
  near(restoreCost(volume, 'DEEP_ARCHIVE', 'Standard', prices)?.retrieval, 20.4806);
  assert.equal(restoreCost(volume, 'DEEP_ARCHIVE', 'Expedited', prices), undefined, 'there is no such tier');
});

test('50 GiB in STANDARD: one chunk of 800 parts, read for nothing but its requests', () => {
  near(storageCost({ STANDARD: 50 * GIB }, prices), 1.15);
  near(uploadCost({ wholeChunks: 0, partedChunks: 1, parts: 800 }, 'STANDARD', prices), 0.00401);
  const volume = { bytes: 50 * GIB, chunks: 1, parts: 800, days: 7 };
  assert.deepEqual(restoreCost(volume, 'STANDARD', 'Standard', prices), {
    retrieval: 0,
    copies: 0,
    requests: (800 * 0.0004) / 1000,
    transfer: 0,
  });
});

test('20 TiB in GLACIER_IR: the price of a transfer falls with its volume', () => {
  near(storageCost({ GLACIER_IR: 20_480 * GIB }, prices), 81.92);
  const volume = { bytes: 20_480 * GIB, chunks: 103, parts: 327_680, days: 7 };
  const cost = restoreCost(volume, 'GLACIER_IR', 'Standard', prices);
  near(cost?.retrieval, 614.4);
  near(cost?.copies, 0);
  near(cost?.requests, 3.2768);
  near(cost?.transfer, 10_240 * 0.09 + (20_380 - 10_240) * 0.085);
});

test('a small increment goes up by one request of its class', () => {
  near(uploadCost({ wholeChunks: 1, partedChunks: 0, parts: 0 }, 'DEEP_ARCHIVE', prices), 0.00005);
});

test('what has no price is not known, and not free', () => {
  assert.equal(storageCost({ STANDARD: 1, INTELLIGENT_TIERING: 1 }, prices), undefined);
  assert.equal(storageCost({ STANDARD: 1 }, undefined), undefined);
  assert.equal(
    uploadCost({ wholeChunks: 1, partedChunks: 0, parts: 0 }, 'INTELLIGENT_TIERING', prices),
    undefined,
  );
  assert.equal(transferCost(GIB, undefined), undefined);
  assert.equal(pricesFor({ region: 'us-east-1', isAws: false }, undefined, file), undefined, 'AWS alone');
  assert.equal(pricesFor({ region: 'mars-1', isAws: true }, undefined, file), undefined);
});

test("a file of one's own wins, for any provider", () => {
  const own = parsePriceFile(
    JSON.stringify({
      currency: 'USD',
      regions: {
        auto: { date: '2026-11', source: 'x', classes: { STANDARD: { storage_gib_month: 0.015 } } },
      },
    }),
    'own.json',
  );
  const found = pricesFor({ region: 'auto', isAws: false }, own, file);
  near(storageCost({ STANDARD: 100 * GIB }, found), 1.5);
  const volume = { bytes: GIB, chunks: 1, parts: 1, days: 7 };
  assert.equal(restoreCost(volume, 'STANDARD', 'Standard', found), undefined, 'no price of a request');
});

test('a file that is none names what is wrong', () => {
  assert.throws(() => parsePriceFile('{', 'a.json'), /price file a\.json cannot be used: it is not JSON/);
  assert.throws(
    () =>
      parsePriceFile('{"currency":"USD","regions":{"x":{"date":"2026","source":"y","clases":{}}}}', 'a.json'),
    /regions\.x.*(classes|clases)/,
  );
});

test('sums are written so that they can be seen', () => {
  assert.deepEqual([0, 1.01376, 0.08225, 0.00005, 83.16].map(formatDollars), [
    '$0.00',
    '$1.01',
    '$0.082',
    'less than $0.0001',
    '$83.16',
  ]);
});
