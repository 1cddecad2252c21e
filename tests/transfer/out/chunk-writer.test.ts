import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { ToolError } from '../../../lib/core/errors.ts';
import { MIB } from '../../../lib/core/units.ts';
import { abortUpload } from '../../../lib/edge/s3/multipart-uploads.ts';
import { ChunkWriter } from '../../../lib/transfer/out/chunk-writer.ts';
import { openTestBucket, plainWrite, startTestBucket } from '../../support/bucket.ts';
import { chunkWriting, isPart, isPut, small, threeParts } from '../../support/chunk-writing.ts';
import {
  errorAnswer,
  type Fault,
  type ProxiedRequest,
  withoutChecksums,
} from '../../support/faulty-proxy.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

shortenWaits();
const directory = temporaryDirectory('chunk-writer');
const own = await startTestBucket(join(directory, 's3'));
const { bucket, proxy } = own;
const { writerWith, contentOf, storeThree } = chunkWriting(own);
beforeEach(() => proxy.expect());

test('a chunk of several parts is stored whole, in whatever order its parts come', async () => {
  const { writer, seen, bodyOf } = writerWith({ StorageClass: 'STANDARD', ServerSideEncryption: 'AES256' });
  const parts = threeParts;
  const { upload, stored } = await storeThree({ writer, seen, bodyOf }, 'host/three');
  const listed = await writer.listParts(upload);
  for (const { number, etag } of stored) {
    assert.deepEqual(listed?.get(number), { sizeBytes: parts[number - 1]?.length, etag });
  }
  const object = await writer.complete(upload, stored);
  assert.match(object.etag, /^"[0-9a-f]{32}-3"$/);
  assert.match(object.checksum ?? '', /=-3$/);
  assert.deepEqual(await contentOf('host/three'), Buffer.concat(parts));
  assert.equal(seen.sent, 10 * MIB + 1000);
  assert.deepEqual([seen.md5s, seen.retries], [0, []]);
  const head = await bucket.client.send(new HeadObjectCommand({ Bucket: bucket.name, Key: 'host/three' }));
  assert.equal(head.ServerSideEncryption, 'AES256');
});

test('a chunk of one part is stored with one request, whose hash is signed payload and checksum at once', async () => {
  const { writer, bodyOf } = writerWith();
  const body = bodyOf(small);
  const object = await writer.putWhole('host/one', body);
  assert.equal(object.checksum, body.sha256);
  assert.deepEqual(await contentOf('host/one'), small);
  const [request] = proxy.requests;
  assert.equal(request?.headers['x-amz-checksum-sha256'], body.sha256);
  assert.equal(request?.headers['x-amz-content-sha256'], Buffer.from(body.sha256, 'base64').toString('hex'));
  assert.equal(request?.headers['content-length'], '3000');
});

test('bytes that are not those of the digest are refused by the server, after five attempts', async () => {
  const { writer, seen, bodyOf } = writerWith();
  const body = { ...bodyOf(small), pieces: [randomBytes(3000)] };
  await assert.rejects(writer.putWhole('host/wrong', body), /cannot store host\/wrong: the server answered/);
  assert.equal(proxy.requests.length, 5);
  assert.equal(seen.retries.length, 4);
  assert.equal(seen.sent, 0);
});

for (const [what, before] of [
  ['an error of the server', () => errorAnswer(503, 'SlowDown')],
  ['an error within the server', () => errorAnswer(500, 'InternalError')],
  ['a connection that breaks', () => 'break'],
] satisfies readonly (readonly [string, Fault['before']])[]) {
  test(`a part is sent again after ${what}, and counted once`, async () => {
    proxy.expect({ matches: isPut, times: 2, before });
    const { writer, seen, bodyOf } = writerWith();
    await writer.putWhole('host/again', bodyOf(small));
    assert.deepEqual(await contentOf('host/again'), small);
    assert.equal(seen.sent, 3000);
    assert.equal(seen.retries.length, 2);
  });
}

test('a refusal that would come again is not repeated', async () => {
  proxy.expect({ matches: isPut, before: () => errorAnswer(403, 'AccessDenied') });
  const { writer, seen, bodyOf } = writerWith();
  await assert.rejects(writer.putWhole('host/denied', bodyOf(small)), (error: ToolError) => {
    assert.match(error.message, /^cannot store host\/denied: access was denied \(bucket test-bucket, http/);
    return true;
  });
  assert.equal(proxy.requests.length, 1);
  assert.equal(seen.sent, 0);
});

test('a server that repeats no checksum is held to the MD5 in its ETag, and sent Content-MD5 from then on', async () => {
  proxy.expect({ matches: isPut, after: withoutChecksums });
  const { writer, seen, bodyOf } = writerWith();
  const object = await writer.putWhole('host/first', bodyOf(small));
  assert.equal(object.checksum, undefined);
  await writer.putWhole('host/second', bodyOf(small));
  const md5 = createHash('md5').update(small).digest('base64');
  assert.deepEqual(
    proxy.requests.map(({ headers }) => headers['content-md5']),
    [undefined, md5],
  );
  assert.equal(seen.md5s, 2);
});

test('where that ETag is another, the part is sent again with Content-MD5', async () => {
  const spoilt = `"${'0'.repeat(32)}"`;
  proxy.expect(
    {
      matches: isPut,
      times: 1,
      after: (answer) => ({
        ...withoutChecksums(answer),
        headers: { ...withoutChecksums(answer).headers, etag: spoilt },
      }),
    },
    { matches: isPut, after: withoutChecksums },
  );
  const { writer, seen, bodyOf } = writerWith();
  await writer.putWhole('host/spoilt', bodyOf(small));
  assert.equal(seen.retries.length, 1);
  assert.match(seen.retries[0] ?? '', /the server has other bytes than were sent/);
  assert.equal(seen.sent, 3000);
  assert.equal(proxy.requests[1]?.headers['content-md5'], createHash('md5').update(small).digest('base64'));
});

test('parts that were under way without Content-MD5 are compared too, when another part was first to be answered', async () => {
  const { writer, seen, bodyOf } = writerWith();
  const upload = await writer.begin('host/parallel');
  let answerSecond: () => void = () => undefined;
  const firstIsStored = new Promise<void>((resolve) => {
    answerSecond = resolve;
  });
  const isNumber = (number: number) => (request: ProxiedRequest) =>
    request.url.includes(`partNumber=${number}&`);
  proxy.expect(
    {
      matches: isNumber(2),
      times: 1,
      async after(answer) {
        await firstIsStored;
        const { headers, ...rest } = withoutChecksums(answer);
        return { ...rest, headers: { ...headers, etag: `"${'0'.repeat(32)}"` } };
      },
    },
    { matches: isPart, after: withoutChecksums },
  );
  const second = writer.putPart(upload, 2, bodyOf(small));
  while (proxy.requests.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  await writer.putPart(upload, 1, bodyOf(small));
  answerSecond();
  assert.equal(await second, `"${createHash('md5').update(small).digest('hex')}"`);
  assert.equal(seen.retries.length, 1);
  await abortUpload(bucket, upload);
});

test('an upload that the server does not know, by either of two names, has no parts, and giving it up is no error', async () => {
  const { writer } = writerWith();
  const upload = await writer.begin('host/given-up');
  assert.equal((await writer.listParts(upload))?.size, 0);
  await abortUpload(bucket, upload);
  assert.equal(await writer.listParts(upload), undefined);
  await abortUpload(bucket, upload);
  proxy.expect({ matches: () => true, before: () => errorAnswer(404, 'NoSuchKey') });
  assert.equal(await writer.listParts(upload), undefined);
  await abortUpload(bucket, upload);
  proxy.expect();
});

test('parts are listed over all pages', async () => {
  const { bucket: paged } = await startTestBucket(join(directory, 'paged'), {}, { listPageSize: 2 });
  const { bodyOf } = writerWith();
  const events = { onSent: () => undefined };
  const writer = new ChunkWriter(paged, plainWrite, events);
  const upload = await writer.begin('host/pages');
  for (const number of [1, 2, 3, 4, 5]) await writer.putPart(upload, number, bodyOf(small));
  assert.deepEqual([...((await writer.listParts(upload)) ?? new Map()).keys()], [1, 2, 3, 4, 5]);
});

test('an abort ends a part that is under way and is not retried; its reason is what comes out', async () => {
  const ending = new AbortController();
  proxy.expect({ matches: isPut, before: () => new Promise(() => undefined) });
  const { writer, seen, bodyOf } = writerWith(plainWrite, ending.signal);
  const sending = writer.putWhole('host/aborted', bodyOf(small));
  setTimeout(() => ending.abort(new Error('enough')), 100);
  await assert.rejects(sending, /^Error: enough$/);
  assert.deepEqual(seen.retries, []);
  assert.equal(seen.sent, 0);
});

test('every request of a writer ends with its own signal', async () => {
  proxy.expect({ matches: () => true, before: () => new Promise(() => undefined) });
  const upload = { key: 'host/aborted', uploadId: 'u' };
  const stored = { key: 'host/aborted', size: 1, etag: '' };
  for (const ask of [
    (writer: ChunkWriter) => writer.has(stored),
    (writer: ChunkWriter) => writer.findMadeOf('host/aborted', []),
    (writer: ChunkWriter) => writer.listParts(upload),
    (writer: ChunkWriter) => writer.begin('host/aborted'),
    (writer: ChunkWriter) => writer.complete(upload, []),
  ]) {
    const ending = new AbortController();
    const asking = ask(writerWith(plainWrite, ending.signal).writer);
    setTimeout(() => ending.abort(new Error('enough')), 50);
    await assert.rejects(asking, /^Error: enough$/);
  }
  proxy.expect();
});

test('what cannot be begun, completed or listed is named', async () => {
  const missing = await openTestBucket(proxy.endpoint, { S3_BUCKET: 'no-such-bucket' });
  const events = { onSent: () => undefined };
  const writer = new ChunkWriter(missing, plainWrite, events);
  const upload = { key: 'k', uploadId: 'u' };
  await assert.rejects(writer.begin('k'), /cannot begin k: the bucket does not exist/);
  await assert.rejects(writer.listParts(upload), /cannot list the parts of k: the bucket does not exist/);
  await assert.rejects(writer.complete(upload, []), /cannot complete k: /);
  await assert.rejects(abortUpload(missing, upload), /cannot abort k: the bucket does not exist/);
  missing.close();
});
