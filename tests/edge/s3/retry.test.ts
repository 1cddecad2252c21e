import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { Retrier, type RetrierOptions, TransferError } from '../../../lib/edge/s3/retry.ts';

const never = new AbortController().signal;
const down = () => Object.assign(new Error('the line is down'), { code: 'ECONNRESET' });
const slow = (seconds?: string) =>
  Object.assign(new Error('too much'), {
    name: 'SlowDown',
    $metadata: { httpStatusCode: 503 },
    $response: { headers: seconds === undefined ? {} : { 'retry-after': seconds } },
  });

/** A Retrier whose waits are over at once, on a clock that they move. */
function createRetrier(options: Partial<RetrierOptions> = {}) {
  let nowMs = 1_000_000;
  const [waits, told, slowed]: [number[], string[], number[]] = [[], [], []];
  const retrier = new Retrier({
    retryForMs: 1_800_000,
    concurrency: 8,
    signal: never,
    onRetry: (what, error, attempt) => told.push(`${what} ${attempt}: ${error.message}`),
    onSlowDown: (concurrency) => slowed.push(concurrency),
    now: () => nowMs,
    random: () => 1,
    sleep: async (ms) => {
      waits.push(ms);
      nowMs += ms;
    },
    ...options,
  });
  return { retrier, waits, told, slowed, pass: (ms: number) => (nowMs += ms) };
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
  assert.equal(await retrier.run('ask', request), 'done');
  assert.deepEqual([attempts(), told, waits], [1, [], []]);
});

test('what may pass is asked again, with longer and longer waits up to half a minute, and each is told', async () => {
  const { retrier, told, waits } = createRetrier();
  await retrier.run('reach it', async () => undefined);
  assert.equal(await retrier.run('ask', failing(10, down).request), 'done');
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assert.deepEqual(told.slice(0, 2), ['ask 1: the line is down', 'ask 2: the line is down']);
  assert.equal(told.length, 10);
});

test('a line that stays down ends in its error within RETRY_FOR, and no retry is announced that does not come', async () => {
  const { retrier, told, waits } = createRetrier({ retryForMs: 100_000 });
  await retrier.run('reach it', async () => undefined);
  const { request, attempts } = failing(Number.POSITIVE_INFINITY, down);
  await assert.rejects(retrier.run('ask', request), /the line is down/);
  const waited = waits.reduce((sum, ms) => sum + ms, 0);
  assert.ok(waited <= 100_000 && waited > 70_000, `${waited} ms`);
  assert.equal(told.length, attempts() - 1);
});

test('the time counts from the first failure of a request, not from its beginning', async () => {
  const { retrier, pass } = createRetrier({ retryForMs: 100_000 });
  await retrier.run('reach it', async () => undefined);
  let attempts = 0;
  const request = async () => {
    pass(99_000);
    if (attempts++ < 1) throw down();
    return 'done';
  };
  assert.equal(await retrier.run('send a large part', request), 'done');
});

test('a server that was never reached is asked five times only', async () => {
  const { retrier } = createRetrier();
  const { request, attempts } = failing(Number.POSITIVE_INFINITY, down);
  await assert.rejects(retrier.run('ask', request), /the line is down/);
  assert.equal(attempts(), 5);
});

test('bytes that arrive wrong are sent five times only', async () => {
  const { retrier } = createRetrier();
  await retrier.run('reach it', async () => undefined);
  const { request, attempts } = failing(99, () => new TransferError('other bytes'));
  await assert.rejects(retrier.transfer('send', request), /other bytes/);
  assert.equal(attempts(), 5);
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
    await assert.rejects(retrier.run('ask', request));
    assert.deepEqual([attempts(), told], [1, []]);
  }
});

test('Retry-After is waited for, whatever the attempt', async () => {
  const { retrier, waits } = createRetrier();
  await retrier.run('ask', failing(2, () => slow('17')).request);
  assert.deepEqual(waits, [17_000, 17_000]);
});

test('a server that asks for no wait is waited for as if it had not said anything', async () => {
  const [silent, hasty] = [createRetrier(), createRetrier()];
  await silent.retrier.run('ask', failing(4, () => slow()).request);
  await hasty.retrier.run('ask', failing(4, () => slow('0')).request);
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
  await Promise.all(Array.from({ length: count }, () => retrier.transfer('send', transfer)));
  return most;
}

test('asked to slow down, half as many transfers run at once, then more and more again', async () => {
  const { retrier, slowed, pass } = createRetrier();
  assert.equal(await mostAtOnce(retrier, 30), 8);
  await retrier.transfer('send', failing(1, slow).request);
  assert.deepEqual(slowed, [4]);
  pass(10_000);
  await retrier.transfer('send', failing(1, slow).request);
  assert.deepEqual(slowed, [4, 2]);
  assert.equal(await mostAtOnce(retrier, 3), 2);
  await mostAtOnce(retrier, 100);
  assert.equal(await mostAtOnce(retrier, 30), 8, 'all is well again');
});

test('those who are told to slow down together halve once, and never below one', async () => {
  const { retrier, slowed, pass } = createRetrier({ concurrency: 4 });
  await Promise.all([1, 2, 3, 4].map(() => retrier.transfer('send', failing(1, slow).request)));
  assert.deepEqual(slowed, [2]);
  for (let round = 0; round < 3; round += 1) {
    pass(60_000);
    await assert.rejects(retrier.transfer('send', failing(99, () => slow()).request));
  }
  assert.equal(slowed.at(-1), 1);
});

test('an abort ends the wait with its reason, and nothing is asked any more', async () => {
  const ending = new AbortController();
  const { request, attempts } = failing(99, down);
  const retrier = new Retrier({
    retryForMs: 60_000,
    concurrency: 1,
    signal: ending.signal,
    onRetry: () => setTimeout(() => ending.abort(new Error('enough')), 10),
    onSlowDown: () => undefined,
    random: () => 100,
  });
  const started = performance.now();
  await assert.rejects(retrier.run('ask', request), /^Error: enough$/);
  assert.ok(performance.now() - started < 5000);
  assert.equal(attempts(), 1);
});

test('with a signal that is aborted already nothing is asked', async () => {
  const { retrier } = createRetrier();
  const { request, attempts } = failing(0, down);
  await assert.rejects(retrier.run('ask', request, AbortSignal.abort(new Error('before'))), /before/);
  assert.equal(attempts(), 0);
});
