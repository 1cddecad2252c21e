import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextDue } from '../../../lib/core/watch/next-due.ts';
import { type RunFacts, type RunRecord, recordRun } from '../../../lib/core/watch/run-record.ts';

const published = {
  kind: 'full',
  created_at: '20261128T020000Z',
  manifest_key: 'host/subvol/data/full/manifest-20261128T020000Z.json',
  bytes: 1000,
  chunks: 1,
  seconds: 10,
  chain_length: 1,
} as const;

const runAt = (finished_at: string, exit_code = 0, place = 'bucket/host') => ({
  command: 'backup',
  place,
  started_at: finished_at,
  finished_at,
  exit_code,
  problem: null,
});

const first = recordRun(
  undefined,
  runAt('2026-11-28T02:10:00Z'),
  new Map<string, RunFacts>([
    ['data', { outcome: 'published', problem: null, published }],
    ['home', { outcome: 'published', problem: null, published }],
  ]),
);

test('a run of one subvolume keeps what is known of the others', () => {
  const facts = new Map<string, RunFacts>([['data', { outcome: 'nothing due', problem: null }]]);
  const second = recordRun(first, runAt('2026-11-29T02:10:00Z'), facts);
  assert.deepEqual(second.subvolumes.home, first.subvolumes.home);
  assert.equal(second.subvolumes.data?.ok_at, '2026-11-29T02:10:00Z');
  assert.deepEqual(second.subvolumes.data?.published, published, 'and the last backup of its own');
});

test('a failure keeps when it last went well, and says what failed', () => {
  const facts = new Map<string, RunFacts>([['data', { outcome: 'failed', problem: 'no space' }]]);
  const second = recordRun(first, runAt('2026-11-29T02:10:00Z', 1), facts);
  const { ok_at, problem, published: last } = second.subvolumes.data ?? {};
  assert.deepEqual([ok_at, problem, last], ['2026-11-28T02:10:00Z', 'no space', published]);
  assert.equal(second.exit_code, 1);
});

test('what was done for another bucket is forgotten', () => {
  const second: RunRecord = recordRun(first, runAt('2026-11-29T02:10:00Z', 0, 'other/host'), new Map());
  assert.deepEqual(second.subvolumes, {});
});

const day = 86_400_000;
const cadence = { fullEverySeconds: 180 * 86_400, incrementalEverySeconds: 7 * 86_400 };

test('what is due next is the earlier one; without a chain a full one since the last backup', () => {
  assert.deepEqual(nextDue({ newestMs: 20 * day, fullMs: 10 * day }, cadence), {
    kind: 'incremental',
    atMs: 27 * day,
  });
  assert.deepEqual(nextDue({ newestMs: 188 * day, fullMs: 10 * day }, cadence), {
    kind: 'full',
    atMs: 190 * day,
  });
  assert.deepEqual(nextDue({ newestMs: 20 * day, fullMs: undefined }, cadence), {
    kind: 'full',
    atMs: 20 * day,
  });
});
