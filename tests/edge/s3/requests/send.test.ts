import assert from 'node:assert/strict';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { GetBucketVersioningCommand } from '@aws-sdk/client-s3';
import { ToolError } from '../../../../lib/core/errors.ts';
import { readUploadExpiry, readVersioning } from '../../../../lib/edge/s3/bucket/bucket-properties.ts';
import { deleteObjects, retainedUntil } from '../../../../lib/edge/s3/delete-objects.ts';
import { readDocument, writeDocument, writeText } from '../../../../lib/edge/s3/documents.ts';
import { abortUpload, listParts, listUploads } from '../../../../lib/edge/s3/multipart-uploads.ts';
import { checkAccess, headObject, listObjects } from '../../../../lib/edge/s3/objects.ts';
import { attempt, send, sendOnce, transfer } from '../../../../lib/edge/s3/requests/send.ts';
import type { Bucket } from '../../../../lib/edge/s3/s3-client.ts';
import { requestThaw } from '../../../../lib/edge/s3/thaw-requests.ts';
import { plainWrite, startTestBucket } from '../../../support/bucket.ts';
import { errorAnswer } from '../../../support/faulty-proxy.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const { bucket, proxy, retries } = await startTestBucket(join(temporaryDirectory('send'), 's3'));
beforeEach(() => {
  proxy.expect();
  retries.length = 0;
});

const command = () => new GetBucketVersioningCommand({ Bucket: bucket.name });
const upload = { key: 'host/k', uploadId: 'u' };

/** Whatever asks the bucket for something. */
const requests: Readonly<Record<string, (target: Bucket) => Promise<unknown>>> = {
  send: (target) => send(target, 'ask', command()),
  'send once': (target) => sendOnce(target, command()),
  'an attempt': (target) => attempt(target, 'ask', () => sendOnce(target, command())),
  'a transfer': (target) =>
    transfer(
      target,
      'ask',
      () => undefined,
      () => sendOnce(target, command()),
    ),
  checkAccess,
  headObject: (target) => headObject(target, 'host/k'),
  listObjects: (target) => listObjects(target, 'host/'),
  readDocument: (target) => readDocument(target, 'host/k', 10),
  writeDocument: (target) => writeDocument(target, 'host/k', 'x', plainWrite, { absent: true }),
  writeText: (target) => writeText(target, 'host/k', 'x', plainWrite),
  deleteObjects: (target) => deleteObjects(target, ['host/k']),
  retainedUntil: (target) => retainedUntil(target, 'host/k'),
  listUploads: (target) => listUploads(target, 'host/'),
  listParts: (target) => listParts(target, upload),
  abortUpload: (target) => abortUpload(target, upload),
  requestThaw: (target) =>
    requestThaw(target, { key: 'host/k', archive: 'GLACIER' }, { tier: 'Standard', days: 1 }),
  readVersioning,
  readUploadExpiry,
};

for (const [name, request] of Object.entries(requests)) {
  test(`an abort in the middle of a request comes out as its reason: ${name}`, async () => {
    proxy.expect({ matches: () => true, before: () => new Promise(() => undefined) });
    const ending = new AbortController();
    const reason = new Error('enough');
    const asking = request({ ...bucket, signal: ending.signal });
    const before = proxy.requests.length;
    const asked = setInterval(() => proxy.requests.length > before && ending.abort(reason), 5);
    const outcome = await asking.then(
      () => 'done',
      (error: unknown) => error,
    );
    clearInterval(asked);
    assert.equal(outcome, reason);
    assert.deepEqual(retries, []);
  });
}

test('what is refused is explained, with the error of the server as its cause', async () => {
  proxy.expect({ matches: () => true, before: () => errorAnswer(403, 'AccessDenied') });
  await assert.rejects(send(bucket, 'ask', command()), (error: ToolError) => {
    assert.ok(error instanceof ToolError);
    assert.match(error.message, /^cannot ask: access was denied \(bucket test-bucket, http/);
    assert.equal((error.cause as Error).name, 'AccessDenied');
    return true;
  });
  await assert.rejects(sendOnce(bucket, command()), { name: 'AccessDenied' });
});

test('an error that is in words already passes as it is', async () => {
  const told = new ToolError('in words');
  await assert.rejects(
    attempt(bucket, 'ask', () => Promise.reject(told)),
    (error) => error === told,
  );
});

test('what a transfer has counted is counted back when an attempt fails', async () => {
  const counted: number[] = [];
  let first: ((bytes: number) => void) | undefined;
  const answer = await transfer(
    bucket,
    'ask',
    (bytes) => counted.push(bytes),
    async (count) => {
      count(3);
      count(4);
      // What the body of the first attempt still brings forth is not sent.
      first?.(5);
      if (first) return 'stored';
      first = count;
      throw Object.assign(new Error('x'), { code: 'ECONNRESET' });
    },
  );
  assert.equal(answer, 'stored');
  assert.deepEqual(counted, [3, 4, -7, 3, 4]);
});
