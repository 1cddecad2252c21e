import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicClock, RunningTime } from '../../../lib/edge/process/running-time.ts';

/** A clock whose ticks a test gives. */
function createClock() {
  let nowMs = 0;
  let tick: (() => void) | undefined;
  const every = (_ms: number, called: () => void) => {
    tick = called;
    return () => {
      tick = undefined;
    };
  };
  const pass = (ms: number) => {
    nowMs += ms;
    tick?.();
  };
  return { clock: { now: () => nowMs, every }, pass, isTicking: () => tick !== undefined };
}

test('time passes with the ticks, also with late ones, and between them', () => {
  const { clock, pass } = createClock();
  const time = new RunningTime(clock);
  for (const ms of [1000, 1000, 9000]) pass(ms);
  assert.equal(time.elapsedMs, 11_000);
  assert.equal(time.elapsedMs, 11_000);
});

test('time in which nothing ticked is a stop, after which time begins anew', () => {
  const { clock, pass } = createClock();
  const time = new RunningTime(clock);
  pass(5000);
  pass(3_600_000);
  assert.equal(time.elapsedMs, 0);
  pass(1000);
  assert.equal(time.elapsedMs, 1000);
});

test('the ticks end with it', () => {
  const { clock, isTicking } = createClock();
  const time = new RunningTime(clock);
  assert.ok(isTicking());
  time.end();
  assert.ok(!isTicking());
});

test('the real clock goes forward, and ticks until it is ended', async () => {
  let ticks = 0;
  const before = monotonicClock.now();
  const end = monotonicClock.every(10, () => ticks++);
  // As long as a busy machine needs.
  while (ticks < 2) await sleep(10);
  end();
  const told = ticks;
  assert.ok(monotonicClock.now() - before >= 19);
  await sleep(50);
  assert.equal(ticks, told);
});
