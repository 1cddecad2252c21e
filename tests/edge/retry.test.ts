import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { ToolError } from '../../lib/core/errors.ts';
import { TransferError, withRetries } from '../../lib/edge/retry.ts';

const never = new AbortController().signal;
const transient = () => new TransferError('the line broke');

/** How long each wait would have been; they are over at once. */
const waits: number[] = [];
const original = globalThis.setTimeout;
beforeEach(() => {
  waits.length = 0;
  globalThis.setTimeout = ((callback: () => void, ms: number) => {
    waits.push(ms);
    return original(callback, 0);
  }) as typeof setTimeout;
});
afterEach(() => {
  globalThis.setTimeout = original;
});

/** A request that fails so often, and what was told of it. */
function failing(times: number, error: () => Error) {
  const told: string[] = [];
  let attempts = 0;
  const request = async () => {
    if (attempts++ < times) throw error();
    return 'done';
  };
  const run = (signal = never) =>
    withRetries(request, signal, (reason, attempt) => told.push(`${attempt}: ${reason.message}`));
  return { run, told, attempts: () => attempts };
}

test('what succeeds is asked once', async () => {
  const { run, attempts, told } = failing(0, transient);
  assert.equal(await run(), 'done');
  assert.deepEqual([attempts(), told, waits], [1, [], []]);
});

test('what may pass is asked up to five times, with longer and longer waits, and each is told', async () => {
  const { run, attempts, told } = failing(4, transient);
  assert.equal(await run(), 'done');
  assert.equal(attempts(), 5);
  assert.deepEqual(
    told,
    [1, 2, 3, 4].map((attempt) => `${attempt}: the line broke`),
  );
  assert.equal(waits.length, 4);
  for (const [index, wait] of waits.entries()) {
    const shortest = 500 * 2 ** index;
    assert.ok(wait >= shortest && wait <= 2 * shortest, `${wait} after attempt ${index + 1}`);
  }
});

test('after the fifth attempt the last error comes out, and no retry is announced that does not come', async () => {
  const { run, attempts, told } = failing(99, transient);
  await assert.rejects(run(), /the line broke/);
  assert.deepEqual([attempts(), told.length], [5, 4]);
});

test('what would come again is asked once, and not announced', async () => {
  for (const error of [
    () => new ToolError('in words'),
    () => Object.assign(new Error('x'), { name: 'NoSuchKey', $metadata: { httpStatusCode: 404 } }),
    () => new TypeError('a defect'),
  ]) {
    const { run, attempts, told } = failing(99, error);
    await assert.rejects(run());
    assert.deepEqual([attempts(), told], [1, []]);
  }
});

test('an abort ends the wait with its reason, and nothing is asked any more', async () => {
  globalThis.setTimeout = original;
  const ending = new AbortController();
  const { run, attempts } = failing(99, transient);
  const started = performance.now();
  const running = run(ending.signal);
  original(() => ending.abort(new Error('enough')), 50);
  await assert.rejects(running, /^Error: enough$/);
  assert.ok(performance.now() - started < 450);
  assert.equal(attempts(), 1);
});

test('with a signal that is aborted already nothing is asked', async () => {
  const { run, attempts } = failing(0, transient);
  await assert.rejects(run(AbortSignal.abort(new Error('before'))), /before/);
  assert.equal(attempts(), 0);
});
