import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { exitCodeOf, type ToolError } from '../../../lib/core/errors.ts';
import { ConnectionPool } from '../../../lib/edge/http/connection-pool.ts';
import { readRange } from '../../../lib/transfer/back/range-reader.ts';
import { until } from '../../end-to-end/running-script.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { errorAnswer, type Fault, type ProxiedRequest } from '../../support/faulty-proxy.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

shortenWaits();
const {
  bucket: opened,
  proxy,
  retries: retriesTold,
} = await startTestBucket(join(temporaryDirectory('range-reader'), 's3'));
// As the real one, but for a minute of silence.
const bucket = { ...opened, connections: new ConnectionPool({ connectMs: 10_000, idleMs: 400 }) };
after(() => bucket.connections.close());
const data = randomBytes(200_000);
await bucket.client.send(new PutObjectCommand({ Bucket: bucket.name, Key: 'object', Body: data }));
beforeEach(() => proxy.expect());

const isGet = ({ method }: ProxiedRequest) => method === 'GET';

/** Reads a range; what was reported is beside it. */
async function read(offset: number, length: number, key = 'object', signal = new AbortController().signal) {
  retriesTold.length = 0;
  const told = { received: 0, retries: retriesTold };
  const target = new Uint8Array(length);
  const events = { onReceived: (bytes: number) => (told.received += bytes) };
  await readRange({ ...bucket, signal }, { key, offset, length }, target, events).catch((error: unknown) => {
    throw Object.assign(error as Error, { told });
  });
  return { target, ...told };
}

test('a range is what the object holds there, from the first byte to the last', async () => {
  for (const [offset, length] of [
    [0, 200_000],
    [0, 1],
    [199_999, 1],
    [1000, 70_000],
  ] as const) {
    const { target, received, retries } = await read(offset, length);
    assert.deepEqual(Buffer.from(target), data.subarray(offset, offset + length));
    assert.deepEqual([received, retries], [length, []]);
  }
  assert.equal(proxy.requests[0]?.headers.range, 'bytes=0-199999');
});

const cut =
  (how: 'break' | 'silence'): NonNullable<Fault['after']> =>
  (answer) => ({ ...answer, cut: { afterBytes: 30_000, how } });

for (const [what, fault, says] of [
  ['a body that breaks off', { after: cut('break') }, /aborted|premature|reset|socket/i],
  ['a body that falls silent', { after: cut('silence') }, /no data for a minute/],
  [
    'a body that is too short',
    {
      after: (answer) => ({
        ...answer,
        headers: { 'content-length': '99' },
        body: answer.body.subarray(0, 99),
      }),
    },
    /99 of 50000 bytes from offset 1000/,
  ],
  [
    'a body that is too long',
    { after: (answer) => ({ ...answer, headers: { 'content-length': '200000' }, body: data }) },
    /more bytes than asked for/,
  ],
  ['an error of the server', { before: () => errorAnswer(500, 'InternalError') }, /InternalError/],
  ['a connection that breaks', { before: () => 'break' }, /socket hang up|ECONNRESET/],
] satisfies readonly (readonly [string, Partial<Fault>, RegExp])[]) {
  test(`${what} is fetched again, and its bytes are counted once`, async () => {
    // The SDK repeats what fails before the body begins; what breaks within it is ours.
    proxy.expect({ matches: isGet, times: what.startsWith('a body') ? 2 : 6, ...fault });
    const { target, received, retries } = await read(1000, 50_000);
    assert.deepEqual(Buffer.from(target), data.subarray(1000, 51_000));
    assert.equal(received, 50_000);
    assert.ok(retries.length >= 1);
    for (const line of retries) assert.match(line, says);
  });
}

test('what stays wrong fails after five attempts, with a line that names the object', async () => {
  proxy.expect({
    matches: isGet,
    after: (answer) => ({
      ...answer,
      headers: { 'content-length': '99' },
      body: answer.body.subarray(0, 99),
    }),
  });
  await assert.rejects(
    read(0, 50_000),
    (error: ToolError & { told: { received: number; retries: string[] } }) => {
      assert.match(error.message, /^cannot read object: .*\(bucket test-bucket, http/);
      assert.equal(error.told.received, 0);
      assert.equal(error.told.retries.length, 4);
      return true;
    },
  );
  // An answer in an unusual form is asked for once more through the SDK, three times at most.
  assert.equal(proxy.requests.length, 5 + 3);
});

test('a missing object is damage, and is not asked for again', async () => {
  await assert.rejects(read(0, 10, 'missing'), (error: ToolError) => {
    assert.match(error.message, /^cannot read missing: the object is missing/);
    assert.equal(exitCodeOf(error), 4);
    return true;
  });
  assert.equal(proxy.requests.length, 1);
});

test('a range beyond the end of the object is an error, not fewer bytes', async () => {
  await assert.rejects(read(199_990, 20), /cannot read object/);
  await assert.rejects(read(200_000, 20), /cannot read object: the server answered InvalidRange/);
});

test('an abort ends a body that is under way, and is not retried', async () => {
  const ending = new AbortController();
  proxy.expect({ matches: isGet, after: cut('silence') });
  const reading = read(0, 50_000, 'object', ending.signal);
  const reason = new Error('enough');
  const abort = until('the request has come', () => proxy.requests.length > 0)
    .then(() => sleep(100))
    .then(() => ending.abort(reason));
  await assert.rejects(reading, (error: Error & { told: { retries: string[]; received: number } }) => {
    assert.equal(error, reason);
    assert.deepEqual(error.told.retries, []);
    assert.equal(error.told.received, 0);
    return true;
  });
  await abort;
  assert.equal(proxy.requests.length, 1);
});
