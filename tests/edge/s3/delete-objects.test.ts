import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { readVersioning } from '../../../lib/edge/s3/bucket/bucket-properties.ts';
import { deleteObjects, retainedUntil } from '../../../lib/edge/s3/delete-objects.ts';
import { listKeys } from '../../../lib/edge/s3/objects.ts';
import { bucketName, openTestBucket, startTestBucket } from '../../support/bucket.ts';
import { errorAnswer } from '../../support/faulty-proxy.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

shortenWaits();
const { bucket, proxy, server } = await startTestBucket(join(temporaryDirectory('delete-objects'), 's3'));

async function put(...keys: readonly string[]): Promise<void> {
  for (const Key of keys) {
    await bucket.client.send(new PutObjectCommand({ Bucket: bucketName, Key, Body: 'x' }));
  }
}

const isDelete = ({ method, url }: { readonly method: string; readonly url: string }) =>
  method === 'POST' && url.includes('delete');

/** An answer of DeleteObjects that refuses keys with a code. */
function refusing(code: string, ...keys: readonly string[]) {
  const errors = keys.map(
    (key) => `<Error><Key>${key}</Key><Code>${code}</Code><Message>line\none</Message></Error>`,
  );
  const body = `<?xml version="1.0"?><DeleteResult>${errors.join('')}</DeleteResult>`;
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: Buffer.from(body) };
}

test('2,500 keys are three requests, and keys that are not there are no failure', async () => {
  await put('many/00001', 'many/02400', 'kept');
  proxy.expect();
  const keys = Array.from({ length: 2500 }, (_, index) => `many/${String(index).padStart(5, '0')}`);
  assert.deepEqual(await deleteObjects(bucket, keys), []);
  assert.equal(proxy.requests.filter(isDelete).length, 3);
  assert.deepEqual(await listKeys(bucket, ''), ['kept']);
});

test('no keys are no request', async () => {
  proxy.expect();
  assert.deepEqual(await deleteObjects(bucket, []), []);
  assert.equal(proxy.requests.length, 0);
});

test('keys with every awkward letter are deleted', async () => {
  const keys = ['odd/a b', 'odd/ä', 'odd/<&>"\'', 'odd/%2f+', 'odd/\u{1f600}'];
  await put(...keys);
  assert.deepEqual(await deleteObjects(bucket, keys), []);
  assert.deepEqual(await listKeys(bucket, 'odd/'), []);
});

test('a key that is refused is reported with the server’s words, and the others go', async () => {
  await put('denied/a', 'denied/b', 'denied/c');
  server.permissions.set({ denied: ['s3:DeleteObject denied/b'] });
  const refused = await deleteObjects(bucket, ['denied/a', 'denied/b', 'denied/c']);
  server.permissions.clear();
  assert.deepEqual(
    refused.map(({ key }) => key),
    ['denied/b'],
  );
  assert.match(refused[0]?.problem ?? '', /^AccessDenied: .*s3:DeleteObject/);
  assert.deepEqual(await listKeys(bucket, 'denied/'), ['denied/b']);
});

test('a key that is refused for a moment is asked for again, alone', async () => {
  await put('again/a', 'again/b');
  const sizes: number[] = [];
  proxy.expect({ matches: isDelete, times: 1, before: () => refusing('InternalError', 'again/b') });
  assert.deepEqual(await deleteObjects(bucket, ['again/a', 'again/b']), []);
  sizes.push(...proxy.requests.filter(isDelete).map(({ sizeBytes }) => sizeBytes));
  assert.equal(sizes.length, 2);
  assert.ok((sizes[1] ?? 0) < (sizes[0] ?? 0), `${sizes}`);
  // The first answer was made up: nothing was deleted by it.
  assert.deepEqual(await listKeys(bucket, 'again/'), ['again/a']);
});

test('a refusal that does not pass is reported in one line when RETRY_FOR is over', async () => {
  const hurried = await openTestBucket(proxy.endpoint, { RETRY_FOR: '1s' });
  proxy.expect({ matches: isDelete, before: () => refusing('SlowDown', 'slow/a') });
  assert.deepEqual(await deleteObjects(hurried, ['slow/a', 'slow/b']), [
    { key: 'slow/a', problem: 'SlowDown: line one' },
  ]);
  hurried.close();
  proxy.expect();
});

test('a request that fails as a whole says what and where', async () => {
  proxy.expect({ matches: isDelete, before: () => errorAnswer(403, 'AccessDenied') });
  await assert.rejects(
    deleteObjects(bucket, ['x', 'y']),
    /^ToolError: cannot delete 2 objects, such as x: access was denied \(bucket test-bucket/,
  );
  proxy.expect();
});

test('versions are reported as unknown to who may not ask, and as off in a bucket without them', async () => {
  assert.equal(await readVersioning(bucket), 'off');
  server.permissions.set({ denied: ['s3:GetBucketVersioning', 's3:GetObjectRetention'] });
  assert.equal(await readVersioning(bucket), 'unknown');
  assert.equal(await retainedUntil(bucket, 'kept'), undefined);
  server.permissions.clear();
});
