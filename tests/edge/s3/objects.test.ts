import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readDocument, writeText } from '../../../lib/edge/s3/documents.ts';
import { headObject, listKeys } from '../../../lib/edge/s3/objects.ts';
import { plainWrite, startTestBucket } from '../../support/bucket.ts';
import { errorAnswer, type ProxiedRequest } from '../../support/faulty-proxy.ts';
import { putAs } from '../../support/put-as.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('objects');
const { bucket, proxy } = await startTestBucket(join(directory, 's3'), { CONCURRENCY: '1' });

test('keys are listed below a prefix alone, over all pages, in the order of their bytes', async () => {
  const { bucket: paged } = await startTestBucket(join(directory, 'paged'), {}, { listPageSize: 2 });
  const keys = ['p/a', 'p/b/c', 'p/b/d', 'p/ü', 'q/x'];
  for (const key of [...keys].reverse()) await writeText(paged, key, 'x', plainWrite);
  assert.deepEqual(await listKeys(paged, 'p/'), keys.slice(0, 4));
  assert.deepEqual(await listKeys(paged, 'none/'), []);
});

test('a listing that says that there is more, but not from where, ends', { timeout: 60_000 }, async () => {
  await writeText(bucket, 'host/listed', 'x', plainWrite);
  proxy.expect({
    matches: ({ url }) => url.includes('list-type=2'),
    after: (answer) => ({
      ...answer,
      body: Buffer.from(String(answer.body).replace('<IsTruncated>false<', '<IsTruncated>true<')),
      headers: { ...answer.headers, 'content-length': String(answer.body.length - 1) },
    }),
  });
  await assert.rejects(listKeys(bucket, 'host/'), /cannot list host\/: the server says that there are more/);
  assert.equal(proxy.requests.length, 1);
  proxy.expect();
});

test('an object is described with its size, ETag, checksum and class, and whether it must be thawed', async () => {
  const sha256 = 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=';
  await putAs(bucket, 'host/hot', 'STANDARD', sha256);
  assert.deepEqual(await headObject(bucket, 'host/hot'), {
    sizeBytes: 3,
    etag: '"900150983cd24fb0d6963f7d28e17f72"',
    sha256,
    storageClass: 'STANDARD',
    thaw: { kind: 'readable' },
  });
  await putAs(bucket, 'host/cold', 'GLACIER');
  await putAs(bucket, 'host/instant', 'GLACIER_IR');
  const [cold, instant] = [await headObject(bucket, 'host/cold'), await headObject(bucket, 'host/instant')];
  assert.deepEqual(cold?.thaw, { kind: 'cold', archive: 'GLACIER' });
  assert.deepEqual([cold?.storageClass, cold?.sha256], ['GLACIER', undefined]);
  assert.deepEqual([instant?.storageClass, instant?.thaw], ['GLACIER_IR', { kind: 'readable' }]);
  assert.equal(await headObject(bucket, 'host/none'), undefined);
});

test('what HEAD cannot say is asked with one GET: what has expired is named, and what may pass is sent again', async () => {
  await putAs(bucket, 'host/hot', 'STANDARD');
  const told = async (status: number, code: string) => {
    proxy.expect(
      {
        matches: ({ method }) => method === 'HEAD',
        before: () => ({ ...errorAnswer(status, code), body: Buffer.alloc(0) }),
      },
      { matches: ({ method }) => method === 'GET', before: () => errorAnswer(status, code) },
    );
    return headObject(bucket, 'host/hot').then(
      () => 'found',
      (error: Error) => error.message,
    );
  };
  assert.match(await told(400, 'ExpiredToken'), /^cannot look at host\/hot: the credentials have expired/);
  assert.match(await told(403, 'RequestTimeTooSkewed'), /this host's clock differs/);
  const bodiless = { ...errorAnswer(400, 'RequestTimeout'), body: Buffer.alloc(0) };
  proxy.expect(
    { matches: ({ method }) => method === 'HEAD', times: 1, before: () => bodiless },
    { matches: ({ method }) => method === 'GET', times: 1, before: () => errorAnswer(400, 'RequestTimeout') },
  );
  assert.equal((await headObject(bucket, 'host/hot'))?.sizeBytes, 3);
  assert.deepEqual(
    proxy.requests.map(({ method }) => method),
    ['HEAD', 'GET', 'HEAD'],
  );
});

test('an object that is stored between HEAD and the GET that explains its answer is there', async () => {
  await putAs(bucket, 'host/late', 'STANDARD');
  for (const status of [403, 404]) {
    const missing = { ...errorAnswer(status, 'NoSuchKey'), body: Buffer.alloc(0) };
    proxy.expect({ matches: ({ method }) => method === 'HEAD', times: 1, before: () => missing });
    assert.equal((await headObject(bucket, 'host/late'))?.sizeBytes, 3);
  }
});

test('an object that is stored between a refusal of who gets 403 for what is missing, and the listing, is there', async () => {
  await putAs(bucket, 'host/later', 'STANDARD');
  const denied = errorAnswer(403, 'AccessDenied');
  // A listing names the key in its query alone.
  const refusing = (method: string, answer = denied) => ({
    matches: (request: ProxiedRequest) => request.method === method && request.url.includes('/host/later'),
    times: 1,
    before: () => answer,
  });
  proxy.expect(refusing('HEAD', { ...denied, body: Buffer.alloc(0) }), refusing('GET'));
  assert.equal((await headObject(bucket, 'host/later'))?.sizeBytes, 3);
  proxy.expect(refusing('GET'));
  assert.equal((await readDocument(bucket, 'host/later', 1000))?.text.length, 3);
  proxy.expect();
});

test('a refusal that GET does not share is reported as it was', async () => {
  await putAs(bucket, 'host/hot', 'STANDARD');
  await putAs(bucket, 'host/frozen', 'GLACIER');
  const refused = { ...errorAnswer(403, 'AccessDenied'), body: Buffer.alloc(0) };
  proxy.expect({ matches: ({ method }) => method === 'HEAD', before: () => refused });
  await assert.rejects(headObject(bucket, 'host/hot'), /cannot look at host\/hot: access was denied/);
  await assert.rejects(headObject(bucket, 'host/frozen'), /cannot look at host\/frozen: access was denied/);
  proxy.expect();
});
