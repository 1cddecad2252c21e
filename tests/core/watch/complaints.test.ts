import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOf, complaintsOfRuns, type SubvolumeFacts } from '../../../lib/core/watch/complaints.ts';
import { goodRun, healthy } from './samples.ts';

const day = 86_400_000;
const now = Date.parse('2026-11-28T12:00:00Z');
const verify = goodRun('verify', 'sound').subvolumes.data;
const backup = goodRun('backup', 'published').subvolumes.data;
const well: SubvolumeFacts = {
  health: healthy,
  backup,
  verify,
  verifyEveryMs: 30 * day,
  drillEveryMs: 30 * day,
};

const of = (facts: Partial<SubvolumeFacts>, at = now) =>
  complaintsOf({ ...well, ...facts }, at).map(({ text, isDamage }) => `${isDamage ? 'damage: ' : ''}${text}`);

test('where all is well nothing is said', () => {
  assert.deepEqual(of({}), []);
  assert.deepEqual(of({ verify: undefined, backup: undefined }), [], 'nor of what is not known');
  const tried = { health: { ...healthy, drills_failed: failed }, drillEveryMs: undefined };
  assert.deepEqual(of(tried), [], 'nor of a drill that is never due');
});

const failed = { count: 1, at: '2026-11-27T04:00:00.000Z', problem: 'no space' };

test('each thing that is wrong is named, with what to do', () => {
  assert.ok(backup && verify);
  for (const [facts, says] of [
    [{ health: undefined }, /^there is no backup yet: make backup$/],
    [
      { health: { ...healthy, why_not: 'chunk x is missing' } },
      /^damage: the newest backup cannot be restored: chunk x is missing; make verify says more$/,
    ],
    [
      { health: { ...healthy, due: { kind: 'full', at: '2026-11-27T11:59:00Z' } } },
      /^the next full backup was due 2026-11-27 11:59 UTC: is the timer active\?$/,
    ],
    [
      { backup: { ...backup, outcome: 'failed', problem: 'no space' } },
      /^the last make backup \(2026-11-28 03:00 UTC\) failed: no space$/,
    ],
    [
      { verify: { ...verify, outcome: 'damaged', problem: '2 findings' } },
      /^damage: .* found damage: 2 findings; make verify says which$/,
    ],
    [
      { verifyEveryMs: 0, verify: { ...verify, ok_at: '2026-11-01T00:00:00Z' } },
      /^it was not verified since/,
    ],
    [
      { health: { ...healthy, drill: { at: '2026-11-20T01:00:00Z', created_at: 'x', is_sound: false } } },
      /^damage: the drill of 2026-11-20 01:00 UTC found/,
    ],
    [
      { health: { ...healthy, drills_failed: failed } },
      /^the last drill failed \(2026-11-27 04:00 UTC\): no space$/,
    ],
    [
      { health: { ...healthy, drill: null, drills_failed: { ...failed, count: 3, problem: null } } },
      /^the last 3 drills failed \(2026-11-27 04:00 UTC\)$/,
    ],
    // That there was none for long is said with it.
    [{ health: { ...healthy, drills_failed: failed }, drillEveryMs: 7 * day }, /^the last drill failed/],
    [{ drillEveryMs: 7 * day }, /^the last drill was 2026-11-20 01:00 UTC: make drill$/],
  ] as const) {
    const found = of(facts as Partial<SubvolumeFacts>);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', says);
  }
});

test('a timer that looks once a night is given a day', () => {
  assert.deepEqual(of({ health: { ...healthy, due: { kind: 'full', at: '2026-11-27T12:01:00Z' } } }), []);
  assert.equal(of({}, Date.parse('2026-12-06T03:00:00Z')).length, 1);
});

test('a run that failed is named unless what it found of a subvolume says so already', () => {
  const run = goodRun('backup', 'published');
  const { data } = run.subvolumes;
  assert.ok(data);
  const failed = { ...run, exit_code: 2, problem: 'CONCURRENCY must be a number', finished_at: 'later' };
  const named = (...runs: Parameters<typeof complaintsOfRuns>[0]) =>
    complaintsOfRuns(runs, []).map(({ text, isDamage }) => (isDamage ? `damage: ${text}` : text));
  const at = { finished_at: '2026-11-28T04:00:00Z' };
  assert.deepEqual(named({ ...failed, ...at }), [
    'the last make backup (2026-11-28 04:00 UTC) ended with exit code 2: CONCURRENCY must be a number',
  ]);
  assert.deepEqual(named({ ...run, ...at, command: 'prune', exit_code: 4 }), [
    'damage: the last make prune (2026-11-28 04:00 UTC) ended with exit code 4',
  ]);
  const told = { data: { ...data, ...at, outcome: 'failed' as const } };
  for (const fine of [
    run,
    { ...failed, ...at, subvolumes: told },
    { ...failed, ...at, exit_code: 3 },
    { ...failed, ...at, exit_code: 3, command: 'prune' },
    { ...failed, ...at, command: 'upload' },
    { ...failed, ...at, exit_code: 143 },
    { ...failed, ...at, command: 'verify', exit_code: 5 },
  ]) {
    assert.deepEqual(named(fine), [], JSON.stringify(fine));
  }
});
