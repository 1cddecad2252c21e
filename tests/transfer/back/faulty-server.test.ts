import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { after, mock, test } from 'node:test';
import { ConnectionPool } from '../../../lib/edge/http/connection-pool.ts';
import { checkAccess } from '../../../lib/edge/s3/objects.ts';
import type { Bucket } from '../../../lib/edge/s3/s3-client.ts';
import type { FaultRule } from '../../../testing/s3-server/faults/fault-rules.ts';
import { openTestBucket, startTestBucket } from '../../support/bucket.ts';
import { content, storedStreams } from '../../support/stored-streams.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startTlsRelay } from '../../support/tls-relay.ts';

const directory = temporaryDirectory('faulty-server');
const spool = join(directory, 'spool');
mkdirSync(spool);
const own = await startTestBucket(join(directory, 's3'));
const relay = await startTlsRelay(own.server.port);
const chunks = [content(95_000), content(30_001)];
const manifest = await storedStreams(own, spool).store(chunks, true);

/** A bucket over http or https that tells of failed attempts. @param idleMs of silence that end one */
async function open(
  protocol: 'http' | 'https',
  idleMs: number,
): Promise<{ bucket: Bucket; failures: string[] }> {
  const failures: string[] = [];
  const port = protocol === 'http' ? own.server.port : relay.port;
  const onRetry = (_: string, error: Error) => failures.push(error.name);
  const opened = await openTestBucket(`${protocol}://localhost:${port}`, {}, {}, { onRetry });
  const bucket = { ...opened, connections: new ConnectionPool({ connectMs: 10_000, idleMs }) };
  after(() => bucket.connections.close());
  after(() => opened.close());
  const handler = bucket.client.config.requestHandler as unknown as {
    updateHttpClientConfig(key: string, value: unknown): void;
  };
  handler.updateHttpClientConfig('httpsAgent', new Agent({ keepAlive: true, ca: relay.certificate }));
  await checkAccess(bucket);
  return { bucket, failures };
}

const some = { operation: 'GetObject', skip: 2, next: 3 } as const;
const faults: readonly (readonly [what: string, rule: FaultRule, meets: 'a failure' | 'no failure'])[] = [
  ['a server that has too much to do', { ...some, fault: 'error', code: 'SlowDown' }, 'a failure'],
  ['an error of the server', { ...some, fault: 'error', code: 'InternalError' }, 'a failure'],
  ['a reset before the answer', { ...some, fault: 'reset-before' }, 'a failure'],
  ['a server that does not answer', { ...some, fault: 'stall' }, 'a failure'],
  ['a body that stands still', { ...some, fault: 'stall', bytes: 3000 }, 'a failure'],
  ['a body that breaks off', { ...some, fault: 'truncate', bytes: 3000 }, 'a failure'],
  ['a slow body', { ...some, fault: 'slow', bytesPerSecond: 200_000 }, 'no failure'],
  ['another byte', { ...some, next: 1, fault: 'corrupt', offset: 4000 }, 'no failure'],
];

for (const protocol of ['http', 'https'] as const) {
  for (const [what, rule, meets] of faults) {
    test(`${what} over ${protocol} is no harm to the stream`, async () => {
      // As in earnest, but where silence is awaited: on a busy machine a second passes without a byte.
      const { bucket, failures } = await open(protocol, meets === 'a failure' ? 1000 : 60_000);
      const direct = mock.method(bucket.connections, 'send').mock;
      // A part that is damaged both times it is read is taken for damaged in the bucket: so one of each chunk.
      const keys = rule.fault === 'corrupt' ? ['*-00000.bin', '*-00001.bin'] : ['*'];
      own.server.faults.set(keys.map((key) => ({ ...rule, key })));
      const { error, sunk, progress, warnings } = await storedStreams({ ...own, bucket }, spool).fetchInto(
        manifest,
      );
      assert.equal(error, undefined);
      assert.ok(sunk.equals(Buffer.concat(chunks)), 'the stream is whole');
      assert.equal(progress.bytes, 125_001);
      for (const { fired } of own.server.faults.list()) assert.equal(fired, rule.next);
      assert.equal(failures.length > 0, meets === 'a failure', failures.join());
      assert.equal(warnings.length, rule.fault === 'corrupt' ? keys.length : 0);
      // 14 parts, and those that came wrong: all of them past the SDK.
      assert.equal(direct.callCount(), 14 + failures.length + warnings.length);
    });
  }
}
