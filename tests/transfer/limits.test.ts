/** LIMIT_UPLOAD and LIMIT_DOWNLOAD on real requests, by a clock that jumps to where it is waited for. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { parseLimit, type Timetable } from '../../lib/core/rate-limit.ts';
import { KIB, MIB } from '../../lib/core/units.ts';
import { RateLimiter } from '../../lib/edge/process/rate-limiter.ts';
import { readRange } from '../../lib/transfer/back/range-reader.ts';
import { ChunkWriter } from '../../lib/transfer/out/chunk-writer.ts';
import { requestPayload } from '../../lib/transfer/out/part-payload.ts';
import { plainWrite, startTestBucket } from '../support/bucket.ts';
import { chunkWriting } from '../support/chunk-writing.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const own = await startTestBucket(join(temporaryDirectory('limits'), 's3'));
const { bodyOf } = chunkWriting(own).writerWith();
const never = new AbortController().signal;

/** A clock that stands still but for those who wait; the limiter, and where the clock is. */
function limiterOf(timetable: Timetable | string) {
  assert.ok(typeof timetable !== 'string');
  let nowMs = 0;
  const clock = {
    now: () => new Date(2026, 10, 28, 12),
    monotonicMs: () => nowMs,
    async wait(ms: number) {
      const until = nowMs + ms;
      await turn();
      nowMs = Math.max(nowMs, until);
    },
  };
  return { limiter: new RateLimiter(timetable, clock), passedMs: () => nowMs };
}

const unlimited = new RateLimiter([]);

test('what goes up takes the time of the limit, over all connections together', async () => {
  const { limiter, passedMs } = limiterOf(parseLimit('512KiB'));
  const bucket = { ...own.bucket, limits: { upload: limiter, download: unlimited } };
  let sent = 0;
  const writer = new ChunkWriter(bucket, plainWrite, { onSent: (bytes) => (sent += bytes) });
  const bodies = Array.from({ length: 4 }, () => randomBytes(MIB));
  await Promise.all(bodies.map((bytes, index) => writer.putWhole(`host/up-${index}`, bodyOf(bytes))));
  assert.equal(sent, 4 * MIB);
  // All but the last slice have had their time: 4 MiB at 512 KiB are 8 seconds.
  assert.ok(passedMs() >= 8000 - 63 && passedMs() <= 8000, `${passedMs()} ms`);
});

test('what comes down does too, and arrives whole', async () => {
  const bytes = randomBytes(2 * MIB);
  await new ChunkWriter(own.bucket, plainWrite, { onSent: () => undefined }).putWhole(
    'host/down',
    bodyOf(bytes),
  );
  const { limiter, passedMs } = limiterOf(parseLimit('256KiB'));
  const bucket = { ...own.bucket, limits: { upload: unlimited, download: limiter } };
  const target = new Uint8Array(2 * MIB);
  const half = (offset: number) =>
    readRange(bucket, { key: 'host/down', offset, length: MIB }, target.subarray(offset, offset + MIB), {
      onReceived: () => undefined,
    });
  await Promise.all([half(0), half(MIB)]);
  assert.deepEqual(Buffer.from(target), bytes);
  const pieceMs = (64 * KIB * 1000) / (256 * KIB);
  assert.ok(passedMs() >= 8000 - 2 * pieceMs && passedMs() <= 8000, `${passedMs()} ms`);
});

test('at hours without a limit nothing waits', async () => {
  const { limiter, passedMs } = limiterOf(parseLimit('08:00,none 20:00,64KiB'));
  const bucket = { ...own.bucket, limits: { upload: limiter, download: unlimited } };
  await new ChunkWriter(bucket, plainWrite, { onSent: () => undefined }).putWhole(
    'host/free',
    bodyOf(randomBytes(MIB)),
  );
  assert.equal(passedMs(), 0);
});

test('whoever waits ends with its signal', async () => {
  const stop = new AbortController();
  const limiter = new RateLimiter([{ minute: 0, bytesPerSecond: 1 }]);
  await limiter.pass(1_000_000, never);
  const waiting = limiter.pass(1, stop.signal);
  stop.abort(new Error('stopped'));
  await assert.rejects(waiting, /^Error: stopped$/);
});

test('a body that is held back ends with the signal, and takes nothing else down', async () => {
  const stop = new AbortController();
  const limiter = new RateLimiter([{ minute: 0, bytesPerSecond: 64 * KIB }]);
  const { Body } = requestPayload(bodyOf(randomBytes(MIB)), () => undefined, {
    limiter,
    signal: stop.signal,
  });
  // So the SDK sends it: an error that nobody takes would end the process.
  Body.pipe(new PassThrough().resume());
  await once(Body, 'data');
  stop.abort(new Error('stopped by SIGINT'));
  await new Promise((resolve) => Body.once('close', resolve));
  assert.equal(Body.errored, stop.signal.reason);
});
