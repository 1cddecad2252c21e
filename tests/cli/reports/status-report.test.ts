import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusJson, statusText } from '../../../lib/cli/reports/status-report.ts';
import type { HostStatus } from '../../../lib/stage/watch/health/status.ts';
import { goodRun, healthy } from '../../core/watch/samples.ts';

const place = {
  bucket: 'my-backups',
  prefix: 'host-1',
  now: new Date('2026-11-28T12:00:00Z'),
  PRUNE_EVERY: 'never',
  KEEP_GENERATIONS: 2,
  VERIFY_EVERY: 30 * 86_400,
  DRILL: 'off',
} as const;

const verify = goodRun('verify', 'sound').subvolumes.data;
const status: HostStatus = {
  subvolumes: [
    { name: 'data', isSelected: true, health: healthy, verify, unfinished: undefined, complaints: [] },
    {
      name: 'home',
      isSelected: true,
      health: { ...healthy, dollars_per_month: null, drill: null },
      verify: undefined,
      unfinished: { created_at: '20261128T020000Z', isResumed: true },
      complaints: [
        { text: `the last make backup failed: ${'cannot read /srv/home/x '.repeat(8)}`, isDamage: false },
      ],
    },
    {
      name: 'old',
      isSelected: false,
      health: undefined,
      verify: undefined,
      unfinished: { created_at: '20261127T020000Z', isResumed: false },
      complaints: [],
    },
  ],
  runs: [goodRun('backup', 'published')],
  complaints: [{ text: 'the last make prune ended with exit code 1', isDamage: false }],
};

test('one screen says of each subvolume what there is, what is due and what is wrong', () => {
  const text = statusText(status, place);
  const [data = '', home = '', old = '', general = ''] = text.split('\n\n');
  assert.equal(
    data,
    [
      'data',
      '  newest backup  incremental of 2026-11-28 02:00 UTC, 10h 00m ago, 1.91 MiB',
      '  next           incremental, due 2026-12-05 02:00 UTC, in 6d 14h',
      '  chain          3 backups since 2026-11-01 02:00 UTC, 8.58 MiB',
      '  stored         8.58 MiB (DEEP_ARCHIVE, STANDARD), $1.50 a month',
      '  last verify    sound 2026-11-28 03:00 UTC, 9h 00m ago',
      '  last drill     sound 2026-11-20 01:00 UTC, 8d 11h ago',
    ].join('\n'),
  );
  assert.match(home, /price not known \(set PRICES\)/);
  assert.match(home, /unfinished {5}an upload of 2026-11-28 02:00 UTC: make backup resumes it/);
  assert.match(home, /last verify {4}not known here; due every 30d 00h/);
  assert.match(home, /last drill {5}never; DRILL=off/);
  assert.match(
    home,
    /\n {2}WRONG {10}the last make backup failed: cannot read \/srv\/home\/x cannot\n {17}read/,
  );
  assert.match(old, /^old {2}\(not in SUBVOLUMES\)/);
  assert.match(
    old.replace(/\s+/g, ' '),
    /2026-11-27 02:00 UTC: nothing resumes it, and make doctor says what to do/,
  );
  assert.match(general, /nothing prunes, as PRUNE_EVERY=never/);
  assert.match(general, /^WRONG +the last make prune ended with exit code 1$/m);
  assert.match(general, /state +2 things wrong/);
});

test('no line is wider than 80 columns, whatever is wrong', () => {
  const long = { text: `${'x'.repeat(300)} \u001b[31m and more words`, isDamage: true };
  const worst = { ...status, subvolumes: status.subvolumes.map((each) => ({ ...each, complaints: [long] })) };
  for (const line of statusText(worst, place).split('\n')) assert.ok(line.length <= 80, line);
  assert.ok(!statusText(worst, place).includes('\u001b'));
});

test('a prune is named with its period and the last one, and so is a backup that is due', () => {
  const due = { kind: 'full' as const, at: '2026-11-28T00:00:00Z' };
  const [data] = status.subvolumes;
  assert.ok(data);
  const withRuns = (...commands: readonly string[]) =>
    statusText(
      {
        subvolumes: [{ ...data, health: { ...healthy, due } }],
        runs: commands.map((command) => goodRun(command, 'sound')),
        complaints: [],
      },
      { ...place, PRUNE_EVERY: 604_800 },
    );
  // No timer calls it for an instance.
  assert.match(
    withRuns('backup').replace(/\s+/g, ' '),
    / prune due every 7d 00h, keeps 2 generations; none was made here yet: its timer, cron or you must call /,
  );
  const text = withRuns('backup', 'prune');
  assert.match(
    text.replace(/\s+/g, ' '),
    / keeps 2 generations; the last was 2026-11-28 03:00 UTC, 9h 00m ago /,
  );
  assert.match(text, /next {11}full, due since 2026-11-28 00:00 UTC, now/);
  assert.match(text, /in all {11}\$1\.50 a month\n/);
  assert.match(text, /state {12}nothing is known to be wrong$/);
});

test('the document has every field, null where it has no value', () => {
  const document = statusJson(status, place) as { subvolumes: Record<string, unknown>[]; runs: unknown[] };
  const [data, home, old] = document.subvolumes;
  assert.equal(data?.dollars_per_month, 1.5);
  assert.deepEqual(home?.wrong, [status.subvolumes[1]?.complaints[0]?.text]);
  assert.deepEqual(Object.keys(old ?? {}), Object.keys(data ?? {}));
  assert.equal(old?.newest, null);
  assert.deepEqual([data?.unfinished, home?.unfinished], [null, '20261128T020000Z']);
  assert.deepEqual(document.runs, [
    { command: 'backup', finished_at: '2026-11-28T03:00:00.000Z', exit_code: 0, problem: null },
  ]);
});
