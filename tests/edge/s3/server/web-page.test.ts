/** What answers in the place of S3: a console, the log-in page of a network, the bucket's other region. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { ToolError } from '../../../../lib/core/errors.ts';
import { readDocument } from '../../../../lib/edge/s3/documents.ts';
import { headObject, listObjects } from '../../../../lib/edge/s3/objects.ts';
import { openTestBucket } from '../../../support/bucket.ts';

/** A bucket whose server gives every request one answer. */
async function answering(t: TestContext, status: number, type: string, body: string) {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': type });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bucket = await openTestBucket(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.after(() => {
    bucket.close();
    server.close();
  });
  return bucket;
}

const refused = (attempt: Promise<unknown>) =>
  attempt.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error as ToolError,
  );

test('a web page is no empty bucket, no document and no object', async (t) => {
  const bucket = await answering(t, 200, 'text/html; charset=utf-8', '<html>Please log in</html>');
  for (const attempt of [
    () => listObjects(bucket, 'host/'),
    () => readDocument(bucket, 'host/current.json', 1000),
    () => headObject(bucket, 'host/chunk'),
  ]) {
    const { message, hint } = await refused(attempt());
    assert.match(message, /: a web page came instead of an answer of S3 \(bucket/);
    assert.match(hint ?? '', /address of the API/);
  }
});

test('a full bucket is no denied access, although its code may be that', async (t) => {
  const says =
    'Cannot upload files, storage cap exceeded. See the Caps &amp; Alerts page to increase your cap.';
  const body = `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>${says}</Message></Error>`;
  const bucket = await answering(t, 403, 'application/xml', body);
  const { message, hint } = await refused(listObjects(bucket, 'host/'));
  assert.match(message, /the bucket has no room left: Cannot upload files, storage cap exceeded/);
  assert.match(hint ?? '', /make prune/);
});

test('a bucket in another region: the line says where it is', async (t) => {
  const body =
    '<?xml version="1.0"?><Error><Code>PermanentRedirect</Code><Message>Use the endpoint.</Message><Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint></Error>';
  const bucket = await answering(t, 301, 'application/xml', body);
  const { message, hint } = await refused(listObjects(bucket, 'host/'));
  assert.match(
    message,
    /the bucket is in another region: it is at b\.s3\.eu-west-1\.amazonaws\.com \(bucket/,
  );
  assert.equal(hint, 'check AWS_REGION');
});
