/** What every small request says when it is refused, or gets no answer that makes sense. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { readDocument, writeDocument, writeText } from '../../../lib/edge/s3/documents.ts';
import { checkAccess, headObject, listKeys } from '../../../lib/edge/s3/objects.ts';
import type { Bucket } from '../../../lib/edge/s3/s3-client.ts';
import { openTestBucket, plainWrite, startTestBucket } from '../../support/bucket.ts';
import { errorAnswer } from '../../support/faulty-proxy.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('refusals');
const { bucket, proxy } = await startTestBucket(join(directory, 's3'), { CONCURRENCY: '1' });

/** Every call refuses in the same words; the line names what was tried, the bucket and the server. */
async function refusedEverywhere(target: Bucket, says: string, hint: RegExp): Promise<void> {
  for (const [what, call] of [
    ['use the bucket', () => checkAccess(target)],
    ['read k', () => readDocument(target, 'k', 10)],
    ['write k', () => writeDocument(target, 'k', 'x', plainWrite, { absent: true })],
    ['write k', () => writeText(target, 'k', 'x', plainWrite)],
    ['list k', () => listKeys(target, 'k')],
    ['look at k', () => headObject(target, 'k')],
  ] as const) {
    await assert.rejects(call(), (error: ToolError) => {
      assert.ok(error instanceof ToolError, String(error));
      assert.equal(error.message, `cannot ${what}: ${says} (bucket ${target.name}, ${target.server})`);
      assert.match(error.hint ?? '', hint);
      return true;
    });
  }
}

test('a missing bucket is reported as such', async () => {
  const missing = await openTestBucket(proxy.endpoint, { S3_BUCKET: 'no-such-bucket' });
  await refusedEverywhere(missing, 'the bucket does not exist', /check S3_BUCKET/);
  missing.close();
});

test('a wrong secret and an unknown key are reported as such, and access is checked with one cheap question', async () => {
  await checkAccess(bucket);
  const wrong = await openTestBucket(proxy.endpoint, {}, { AWS_SECRET_ACCESS_KEY: 'wrong' });
  await refusedEverywhere(wrong, 'the signature was refused', /check AWS_SECRET_ACCESS_KEY/);
  wrong.close();
  const unknown = await openTestBucket(proxy.endpoint, {}, { AWS_ACCESS_KEY_ID: 'nobody' });
  await refusedEverywhere(unknown, 'the access key is not known', /check AWS_ACCESS_KEY_ID/);
  unknown.close();
});

test('a server that is not there is reported as such', async () => {
  const nowhere = await openTestBucket('http://127.0.0.1:9');
  await assert.rejects(
    checkAccess(nowhere),
    /cannot use the bucket: the connection was refused \(bucket .*127\.0\.0\.1:9\)/,
  );
  nowhere.close();
});

test('a small request is repeated too, after the wait that the server asks for', async () => {
  const waits: number[] = [];
  const own = await openTestBucket(
    proxy.endpoint,
    {},
    {},
    {
      onRetry: (_what, _error, _attempt, waitMs) => waits.push(waitMs),
    },
  );
  const busy = { ...errorAnswer(503, 'SlowDown'), headers: { 'retry-after': '1' } };
  await checkAccess(own);
  proxy.expect({ matches: () => true, times: 1, before: () => busy });
  await checkAccess(own);
  assert.deepEqual(waits, [1000]);
  own.close();
});

test('an answer that makes no sense is asked for again, and reported in one line', async () => {
  const nonsense = { status: 200, headers: { 'content-type': 'text/plain' }, body: Buffer.from('Welcome') };
  proxy.expect({ matches: () => true, times: 1, before: () => nonsense });
  await listKeys(bucket, 'host/');
  proxy.expect({ matches: () => true, before: () => nonsense });
  await assert.rejects(
    listKeys(bucket, 'host/'),
    /^ToolError: cannot list host\/: the answer makes no sense \(bucket [^\n]*\)$/,
  );
  proxy.expect();
});
