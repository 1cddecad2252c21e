import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextDue } from '../../../lib/core/watch/next-due.ts';
import { type RunFacts, type RunRecord, recordRun } from '../../../lib/core/watch/run-record.ts';
import { nextTaskMs } from '../../../lib/core/watch/task-due.ts';

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
  const run = { ...runAt('2026-11-29T02:10:00Z'), isWhole: false };
  const second = recordRun(first, run, facts);
  assert.deepEqual(second.subvolumes.home, first.subvolumes.home);
  assert.equal(second.subvolumes.data?.ok_at, '2026-11-29T02:10:00Z');
  assert.deepEqual(second.subvolumes.data?.published, published, 'and the last backup of its own');
});

test('a run of all forgets those that there are no longer; one that ended before it looked at all keeps them', () => {
  const facts = new Map<string, RunFacts>([['data', { outcome: 'nothing due', problem: null }]]);
  const second = recordRun(first, runAt('2026-11-29T02:10:00Z'), facts);
  assert.deepEqual(Object.keys(second.subvolumes), ['data']);
  const failed = recordRun(first, runAt('2026-11-29T02:10:00Z', 1), new Map());
  assert.deepEqual(failed.subvolumes, first.subvolumes);
  const stopped = recordRun(first, runAt('2026-11-29T02:10:00Z', 143), facts);
  assert.deepEqual(stopped.subvolumes.home, first.subvolumes.home);
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

test('a task is done when all of it came to a conclusion; what fails, or is of one subvolume, is not', () => {
  const at = (finished_at: string, exit_code: number, isWhole = true) => ({
    ...runAt(finished_at, exit_code),
    isWhole,
  });
  const done = recordRun(undefined, at('2026-11-01T05:00:00Z', 4), new Map());
  assert.equal(done.done_at, '2026-11-01T05:00:00Z');
  assert.equal(recordRun(done, at('2026-11-02T05:00:00Z', 1), new Map()).done_at, done.done_at);
  assert.equal(recordRun(done, at('2026-11-02T05:00:00Z', 0, false), new Map()).done_at, done.done_at);
  assert.equal(recordRun(undefined, at('2026-11-02T05:00:00Z', 1), new Map()).done_at, null);
});

test('a task is due after its period, a little before it for the sake of timers, and where nothing is known', () => {
  const now = Date.parse('2026-11-28T05:00:00Z');
  const of = (doneAt: string | null) => nextTaskMs(7 * 86_400, doneAt, now);
  assert.equal(of(null), undefined);
  assert.equal(of('2026-11-21T05:00:00Z'), undefined);
  assert.equal(of('2026-11-21T07:59:00Z'), undefined);
  assert.equal(of('2026-11-21T08:01:00Z'), Date.parse('2026-11-28T08:01:00Z'));
  assert.equal(of('2027-01-01T00:00:00Z'), undefined, 'a clock that was ahead');
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
