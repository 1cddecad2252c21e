import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Cadence, judgeDue, type PublishedTimes } from '../../../../lib/core/plan/backup/due.ts';

const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];
const now = Date.UTC(2026, 10, 25, 2);
const defaults: Cadence = { fullEverySeconds: 180 * 86_400, incrementalEverySeconds: 7 * 86_400 };

/** Times by their age. */
const aged = (fullAge: number | undefined, newestAge: number): PublishedTimes => ({
  newestMs: now - newestAge,
  fullMs: fullAge === undefined ? undefined : now - fullAge,
});

const age = { due: 'full', because: 'age' } as const;
const incremental = { due: 'incremental' } as const;
const nextFull = (atMs: number) => ({ due: 'nothing', next: { kind: 'full', atMs } }) as const;
const nextIncremental = (atMs: number) => ({ due: 'nothing', next: { kind: 'incremental', atMs } }) as const;

for (const [what, asked, times, expected] of [
  ['a fresh full one', 'auto', aged(0, 0), nextIncremental(now + 7 * day)],
  ['an incremental one of yesterday', 'auto', aged(30 * day, day), nextIncremental(now + 6 * day)],
  ['an incremental one of a week ago', 'auto', aged(30 * day, 7 * day), incremental],
  ['a chain of half a year', 'auto', aged(180 * day, day), age],
  ['a chain of half a year, and nothing for a week', 'auto', aged(180 * day, 7 * day), age],
  ['a chain that will be old before the week is over', 'auto', aged(178 * day, day), nextFull(now + 2 * day)],
  [
    'both at the same moment',
    'auto',
    aged(179 * day, 6 * day),
    { due: 'nothing', next: { kind: 'full', atMs: now + day } },
  ],
  [
    'an old chain, when an incremental one is asked for',
    'incremental',
    aged(200 * day, 7 * day),
    incremental,
  ],
  [
    'an old chain of yesterday, when an incremental one is asked for',
    'incremental',
    aged(200 * day, day),
    nextIncremental(now + 6 * day),
  ],
  [
    'an old backup, when a full one is asked for',
    'full',
    aged(30 * day, 20 * day),
    nextFull(now + 150 * day),
  ],
  ['an old chain, when a full one is asked for', 'full', aged(180 * day, day), age],
  ['a broken chain', 'auto', aged(undefined, 0), { due: 'full', because: 'broken chain' }],
  [
    'a broken chain, when an incremental one is asked for',
    'incremental',
    aged(undefined, 0),
    nextIncremental(now + 7 * day),
  ],
  [
    'a chain that begins in the future',
    'auto',
    aged(-3650 * day, day),
    { due: 'full', because: 'full dated in the future' },
  ],
  ['a backup of the future', 'auto', aged(day, -hour), { due: 'unknown' }],
  [
    'a backup of the future, when a full one is asked for',
    'full',
    aged(200 * day, -hour),
    { due: 'unknown' },
  ],
  ['a backup of some seconds ahead', 'auto', aged(day, -minute), nextIncremental(now + minute + 7 * day)],
  ['a week but three hours', 'auto', aged(day, 7 * day - 3 * hour), incremental],
  ['a minute less', 'auto', aged(day, 7 * day - 3 * hour - minute), nextIncremental(now + 3 * hour + minute)],
  ['half a year but three hours', 'auto', aged(180 * day - 3 * hour, day), age],
] as const) {
  test(`${what}: ${asked}, ${expected.due} is due`, () => {
    assert.deepEqual(judgeDue(asked, times, defaults, now), expected);
  });
}

test('a short period has a short tolerance: a tenth', () => {
  const hourly = { fullEverySeconds: 86_400, incrementalEverySeconds: 3600 };
  assert.deepEqual(judgeDue('auto', aged(hour, 54 * minute), hourly, now), incremental);
  assert.equal(judgeDue('auto', aged(hour, 53 * minute), hourly, now).due, 'nothing');
});

const duration = fc.integer({ min: 0, max: 400 * 86_400 });
const cadence = fc.record({ fullEverySeconds: duration, incrementalEverySeconds: duration });
const kinds = fc.constantFrom('auto', 'full', 'incremental');
const times = fc
  .tuple(fc.integer({ min: 0, max: 800 * day }), fc.integer({ min: 0, max: 400 * day }))
  .map(([fullAge, newestAge]) => aged(fullAge + newestAge, newestAge));

test('what is due stays due until it is done, and what comes next is later and due when it comes', () => {
  fc.assert(
    fc.property(kinds, times, cadence, fc.nat(500 * day), (asked, published, every, laterMs) => {
      const verdict = judgeDue(asked, published, every, now);
      const later = judgeDue(asked, published, every, now + laterMs);
      // Why it is may change: a full one of the future ages.
      if (verdict.due === 'full') assert.equal(later.due, 'full');
      else if (verdict.due === 'incremental') assert.match(later.due, /^(incremental|full)$/);
      else if (verdict.due === 'nothing') {
        const { kind, atMs } = verdict.next;
        assert.ok(atMs > now, `${atMs}`);
        // Where both are due within the tolerance, a full one is taken.
        const { due } = judgeDue(asked, published, every, atMs);
        assert.ok(due === kind || (asked === 'auto' && due === 'full'), due);
        if (asked !== 'auto') assert.equal(kind, asked);
      } else assert.fail(verdict.due);
    }),
  );
});

test('whatever the times are, a backup is due, something is next, or the clock is behind', () => {
  const anyTime = fc.integer({ min: -4000 * day, max: 4000 * day });
  fc.assert(
    fc.property(
      kinds,
      anyTime,
      fc.option(anyTime, { nil: undefined }),
      cadence,
      (asked, newest, full, every) => {
        const verdict = judgeDue(asked, aged(full, newest), every, now);
        assert.equal(verdict.due === 'unknown', newest < -minute);
        if (asked === 'incremental') assert.notEqual(verdict.due, 'full');
        if (asked === 'full') assert.notEqual(verdict.due, 'incremental');
        // A chain that began in the future must not go on for years.
        if (asked !== 'incremental' && verdict.due === 'nothing') {
          assert.ok(
            verdict.next.atMs <= now + minute + every.fullEverySeconds * 1000,
            `${verdict.next.atMs}`,
          );
        }
      },
    ),
  );
});

test('a nightly timer that starts up to an hour late does not slip: every period of days is kept to the day', () => {
  const night = fc.integer({ min: 0, max: hour });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 14 }),
      fc.array(night, { minLength: 60, maxLength: 60 }),
      fc.integer({ min: 0, max: 59 }),
      (days, delays, springNight) => {
        const every = { fullEverySeconds: 400 * 86_400, incrementalEverySeconds: days * 86_400 };
        const taken: number[] = [];
        let published = aged(0, 0);
        for (const [index, delay] of delays.entries()) {
          // The clock on the wall leaves out an hour one night.
          const at = now + index * day + delay - (index >= springNight ? hour : 0);
          const isFirst = index === 0;
          if (isFirst || judgeDue('auto', published, every, at).due === 'incremental') {
            taken.push(index);
            published = { newestMs: at, fullMs: isFirst ? at : published.fullMs };
          }
        }
        assert.deepEqual(
          taken,
          taken.map((_, turn) => turn * days),
        );
        assert.ok(taken.length >= Math.floor(60 / days), `${taken.length}`);
      },
    ),
  );
});
