import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolError } from '../../../../lib/core/errors.ts';
import { monotonicClock } from '../../../../lib/edge/process/running-time.ts';
import { Retrier, type RetrierOptions } from '../../../../lib/edge/s3/requests/retry.ts';
import { StalledError, TransferError } from '../../../../lib/edge/s3/s3-errors.ts';

const never = new AbortController().signal;
const down = () => Object.assign(new Error('the line is down'), { code: 'ECONNRESET' });
const slow = (seconds?: string) =>
  Object.assign(new Error('too much'), {
    name: 'SlowDown',
    $metadata: { httpStatusCode: 503 },
    $response: { headers: seconds === undefined ? {} : { 'retry-after': seconds } },
  });

/** A clock that a test moves: with ticks while the process runs, without them while it is stopped. */
function createClock() {
  let nowMs = 1_000_000;
  const ticks = new Set<() => void>();
  const clock = {
    now: () => nowMs,
    every: (_ms: number, tick: () => void) => {
      ticks.add(tick);
      return () => ticks.delete(tick);
    },
  };
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      nowMs += Math.min(left, 1000);
      for (const tick of ticks) tick();
    }
  };
  return { clock, pass, stopFor: (ms: number) => (nowMs += ms), ticking: () => ticks.size };
}

/** A Retrier whose waits are over at once, on a clock that they move. */
function createRetrier(options: Partial<RetrierOptions> = {}) {
  const time = createClock();
  const [waits, told, slowed]: [number[], string[], number[]] = [[], [], []];
  const limits: number[] = [];
  const retrier = new Retrier({
    retryForMs: 1_800_000,
    concurrency: 8,
    onRetry: (what, error, attempt, _waitMs, forMs) => {
      told.push(`${what} ${attempt}: ${error.message}`);
      limits.push(forMs);
    },
    onSlowDown: (concurrency) => slowed.push(concurrency),
    clock: time.clock,
    dateMs: time.clock.now,
    random: () => 1,
    sleep: async (ms) => {
      waits.push(ms);
      time.pass(ms);
    },
    ...options,
  });
  return { retrier, waits, told, limits, slowed, ...time };
}

/** A request that fails so often. */
function failing(times: number, error: () => Error) {
  let attempts = 0;
  const request = async () => {
    if (attempts++ < times) throw error();
    return 'done';
  };
  return { request, attempts: () => attempts };
}

test('what succeeds is asked once', async () => {
  const { retrier, told, waits } = createRetrier();
  const { request, attempts } = failing(0, down);
  assert.equal(await retrier.run('ask', request, never), 'done');
  assert.deepEqual([attempts(), told, waits], [1, [], []]);
});

test('what had failed and is over is reported once, with how it ended; what never failed is not', async () => {
  const settled: boolean[] = [];
  const { retrier } = createRetrier({ onSettled: (isDone) => settled.push(isDone) });
  await retrier.run('ask', failing(0, down).request, never);
  await retrier.run('ask', failing(3, down).request, never);
  await assert.rejects(retrier.run('ask', failing(Number.POSITIVE_INFINITY, down).request, never));
  assert.deepEqual(settled, [true, false]);
});

test('what may pass is asked again, with longer and longer waits up to half a minute, and each is reported', async () => {
  const { retrier, told, waits } = createRetrier();
  await retrier.run('reach it', async () => undefined, never);
  assert.equal(await retrier.run('ask', failing(10, down).request, never), 'done');
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assert.deepEqual(told.slice(0, 2), ['ask 1: the line is down', 'ask 2: the line is down']);
  assert.equal(told.length, 10);
});

test('a line that stays down ends in its error within RETRY_FOR, and no retry is announced that does not come', async () => {
  const { retrier, told, waits } = createRetrier({ retryForMs: 100_000 });
  await retrier.run('reach it', async () => undefined, never);
  const { request, attempts } = failing(Number.POSITIVE_INFINITY, down);
  await assert.rejects(retrier.run('ask', request, never), /the line is down/);
  const waited = waits.reduce((sum, ms) => sum + ms, 0);
  assert.ok(waited <= 100_000 && waited > 70_000, `${waited} ms`);
  assert.equal(told.length, attempts() - 1);
});

test('the time counts from the first failure of a request, not from its beginning', async () => {
  const { retrier, pass } = createRetrier({ retryForMs: 100_000 });
  await retrier.run('reach it', async () => undefined, never);
  let attempts = 0;
  const request = async () => {
    pass(99_000);
    if (attempts++ < 1) throw down();
    return 'done';
  };
  assert.equal(await retrier.run('send a large part', request, never), 'done');
});

const unresolved = () => Object.assign(new Error('getaddrinfo ENOTFOUND s3'), { code: 'ENOTFOUND' });

test('a server that has not answered yet is waited for as long as RETRY_FOR says', async () => {
  const { retrier, waits } = createRetrier();
  const { request } = failing(30, unresolved);
  assert.equal(await retrier.run('use the bucket', request, never), 'done');
  const waited = waits.reduce((sum, ms) => sum + ms, 0);
  assert.ok(waited > 600_000, `${waited} ms`);
});

test('a server that has not answered yet is waited for no longer than allowed, and is asked five times at least', async () => {
  for (const [unreachedForMs, least, most] of [
    [60_000, 30_001, 60_000],
    [0, 3000, 4000],
    [7_200_000, 1_740_000, 1_800_000],
  ] as const) {
    const { retrier, waits, limits } = createRetrier({ unreachedForMs });
    const { request, attempts } = failing(Number.POSITIVE_INFINITY, unresolved);
    await assert.rejects(retrier.run('ask', request, never), /ENOTFOUND/);
    const waited = waits.reduce((sum, ms) => sum + ms, 0);
    assert.ok(waited >= least && waited <= most, `${unreachedForMs}: ${waited} ms`);
    assert.ok(attempts() >= 5);
    assert.deepEqual([...new Set(limits)], [Math.min(unreachedForMs, 1_800_000)]);
  }
});

test('once it has answered, a server is waited for as long as RETRY_FOR says', async () => {
  const { retrier, limits } = createRetrier({ unreachedForMs: 0 });
  await retrier.run('reach it', async () => undefined, never);
  assert.equal(await retrier.run('ask', failing(10, down).request, never), 'done');
  assert.deepEqual(limits, Array(10).fill(1_800_000));
});

test('where to get credentials from is waited for too, and does not count as an answer', async () => {
  const { retrier, limits } = createRetrier({ unreachedForMs: 60_000 });
  assert.equal(await retrier.runElsewhere('sign requests', failing(6, down).request, never), 'done');
  assert.deepEqual(limits, Array(6).fill(60_000));
  const { request } = failing(Number.POSITIVE_INFINITY, unresolved);
  await assert.rejects(retrier.run('ask', request, never), /ENOTFOUND/);
});

test('what only a wrong address answers is asked for five times, and each is reported', async () => {
  for (const code of ['EPROTO', 'HPE_INVALID_CONSTANT']) {
    const { retrier, told } = createRetrier();
    const { request, attempts } = failing(99, () => Object.assign(new Error('odd'), { code }));
    await assert.rejects(retrier.run('ask', request, never), /odd/);
    assert.deepEqual([attempts(), told.length], [5, 4], code);
  }
});

test('bytes that arrive wrong are sent five times only', async () => {
  const { retrier } = createRetrier();
  await retrier.run('reach it', async () => undefined, never);
  const { request, attempts } = failing(99, () => new TransferError('other bytes'));
  await assert.rejects(retrier.transfer('send', request, never), /other bytes/);
  assert.equal(attempts(), 5);
});

test('bytes that arrive wrong once, after the line was down for long, are asked for again', async () => {
  const { retrier } = createRetrier({ retryForMs: 10_000_000 });
  await retrier.run('reach it', async () => undefined, never);
  let attempts = 0;
  const request = async () => {
    attempts += 1;
    if (attempts <= 20) throw down();
    if (attempts <= 24) throw new TransferError('other bytes');
    return 'done';
  };
  assert.equal(await retrier.transfer('read', request, never), 'done');
});

test('a body that stands still is waited for as a line that is down', async () => {
  const { retrier } = createRetrier({ retryForMs: 10_000_000 });
  await retrier.run('reach it', async () => undefined, never);
  const { request } = failing(12, () => new StalledError('no data for a minute'));
  await retrier.transfer('read', request, never);
});

test('what would come again is asked once, and not announced', async () => {
  for (const error of [
    () => new ToolError('in words'),
    () => Object.assign(new Error('x'), { name: 'NoSuchKey', $metadata: { httpStatusCode: 404 } }),
    () => Object.assign(new Error('x'), { name: 'NotImplemented', $metadata: { httpStatusCode: 501 } }),
    () => new TypeError('a defect'),
  ]) {
    const { retrier, told } = createRetrier();
    const { request, attempts } = failing(99, error);
    await assert.rejects(retrier.run('ask', request, never));
    assert.deepEqual([attempts(), told], [1, []]);
  }
});

test('Retry-After is waited for, whatever the attempt', async () => {
  const { retrier, waits } = createRetrier();
  await retrier.run('ask', failing(2, () => slow('17')).request, never);
  assert.deepEqual(waits, [17_000, 17_000]);
});

test('a server that asks for no wait is waited for as if it had not said anything', async () => {
  const [silent, hasty] = [createRetrier(), createRetrier()];
  await silent.retrier.run('ask', failing(4, () => slow()).request, never);
  await hasty.retrier.run('ask', failing(4, () => slow('0')).request, never);
  assert.deepEqual(hasty.waits, silent.waits);
  assert.equal(
    hasty.waits.every((ms) => ms > 0),
    true,
    hasty.waits.join(),
  );
});

/** Runs so many transfers at once and gives how many were under way together at most. */
async function mostAtOnce(retrier: Retrier, count: number): Promise<number> {
  let [running, most] = [0, 0];
  const transfer = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  };
  await Promise.all(Array.from({ length: count }, () => retrier.transfer('send', transfer, never)));
  return most;
}

test('asked to slow down, half as many transfers run at once, then more and more again', async () => {
  const { retrier, slowed, pass } = createRetrier();
  assert.equal(await mostAtOnce(retrier, 30), 8);
  await retrier.transfer('send', failing(1, slow).request, never);
  assert.deepEqual(slowed, [4]);
  pass(10_000);
  await retrier.transfer('send', failing(1, slow).request, never);
  assert.deepEqual(slowed, [4, 2]);
  assert.equal(await mostAtOnce(retrier, 3), 2);
  await mostAtOnce(retrier, 100);
  assert.equal(await mostAtOnce(retrier, 30), 8, 'all is well again');
});

test('those who are asked to slow down together halve once, and never below one', async () => {
  const { retrier, slowed, pass } = createRetrier({ concurrency: 4 });
  await Promise.all([1, 2, 3, 4].map(() => retrier.transfer('send', failing(1, slow).request, never)));
  assert.deepEqual(slowed, [2]);
  for (let round = 0; round < 3; round += 1) {
    pass(60_000);
    await assert.rejects(retrier.transfer('send', failing(99, () => slow()).request, never));
  }
  assert.equal(slowed.at(-1), 1);
});

test('an abort ends the wait with its reason, and nothing is asked any more', async () => {
  const ending = new AbortController();
  const { request, attempts } = failing(99, down);
  const retrier = new Retrier({
    retryForMs: 60_000,
    concurrency: 1,
    onRetry: () => setTimeout(() => ending.abort(new Error('enough')), 10),
    onSlowDown: () => undefined,
    random: () => 100,
  });
  await retrier.run('reach it', async () => undefined, never);
  const started = performance.now();
  await assert.rejects(retrier.run('ask', request, ending.signal), /^Error: enough$/);
  assert.ok(performance.now() - started < 5000);
  assert.equal(attempts(), 1);
});

test('with a signal that is aborted already nothing is asked', async () => {
  const { retrier } = createRetrier();
  const { request, attempts } = failing(0, down);
  await assert.rejects(retrier.run('ask', request, AbortSignal.abort(new Error('before'))), /before/);
  assert.equal(attempts(), 0);
});

test('an abort in the middle of a request comes out as its reason, whatever it made of the request', async () => {
  for (const name of ['AbortError', 'TimeoutError']) {
    const { retrier, told } = createRetrier();
    const ending = new AbortController();
    const request = async () => {
      ending.abort(new Error('enough'));
      throw Object.assign(new Error('broken off'), { name });
    };
    await assert.rejects(retrier.run('ask', request, ending.signal), /^Error: enough$/);
    assert.deepEqual(told, []);
  }
});

test('a refusal that an abort came too late for stays the error', async () => {
  const { retrier } = createRetrier();
  const ending = new AbortController();
  const request = async () => {
    ending.abort(new Error('enough'));
    throw Object.assign(new Error('no'), { name: 'AccessDenied' });
  };
  await assert.rejects(retrier.run('ask', request, ending.signal), { name: 'AccessDenied' });
});

test('time in which the process was stopped within a request does not count, and RETRY_FOR begins anew', async () => {
  const { retrier, waits, pass, stopFor, ticking } = createRetrier({ retryForMs: 100_000 });
  await retrier.run('reach it', async () => undefined, never);
  let waitsBefore = 0;
  const request = async () => {
    pass(2000);
    if (waits.length === 8 && waitsBefore === 0) {
      waitsBefore = waits.length;
      stopFor(3_600_000);
    }
    throw down();
  };
  await assert.rejects(retrier.run('ask', request, never), /the line is down/);
  assert.equal(waitsBefore, 8, 'most of RETRY_FOR was over');
  const after = waits.slice(waitsBefore);
  assert.deepEqual(after, [30_000, 30_000, 30_000]);
  assert.equal(ticking(), 0, 'the clock is let go');
});

test('a process that is stopped for longer than RETRY_FOR while it waits tries again a few times', async () => {
  const time = createClock();
  let waits = 0;
  const { retrier } = createRetrier({
    retryForMs: 100_000,
    clock: time.clock,
    sleep: async (ms) => {
      waits += 1;
      if (waits === 9) time.stopFor(86_400_000);
      else time.pass(ms);
    },
  });
  await retrier.run('reach it', async () => undefined, never);
  const { request, attempts } = failing(99, down);
  await assert.rejects(retrier.run('ask', request, never), /the line is down/);
  assert.equal(attempts(), 13);
});

test('the clock of RETRY_FOR does not follow the time of day', async () => {
  const real = Date.now;
  const sleep = async () => undefined;
  const { retrier } = createRetrier({ retryForMs: 20_000, sleep, clock: monotonicClock, random: () => 0 });
  await retrier.run('reach it', async () => undefined, never);
  try {
    let date = real();
    Date.now = () => (date += 9000);
    assert.equal(await retrier.run('ask', failing(6, down).request, never), 'done');
  } finally {
    Date.now = real;
  }
});

test('work that is not worth a long wait repeats its requests for less, and no others', async () => {
  const { retrier, limits } = createRetrier();
  await assert.rejects(retrier.within(30_000).run('ask', failing(1000, down).request, never));
  assert.deepEqual([...new Set(limits.splice(0))], [30_000]);
  await assert.rejects(retrier.within(3_600_000).run('ask', failing(1000, down).request, never));
  assert.deepEqual([...new Set(limits)], [1_800_000]);
});
