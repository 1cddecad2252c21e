import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import type { ToolError } from '../../lib/core/errors.ts';
import { MIB } from '../../lib/core/units.ts';
import { ChunkWriter } from '../../lib/edge/chunk-writer.ts';
import { abortUpload } from '../../lib/edge/multipart-uploads.ts';
import type { PartBody } from '../../lib/edge/part-payload.ts';
import type { WriteOptions } from '../../lib/edge/s3-client.ts';
import { KeyTaken } from '../../lib/edge/unless-taken.ts';
import { openTestBucket, plainWrite, startTestBucket } from '../support/bucket.ts';
import {
  errorAnswer,
  type Fault,
  type ProxiedAnswer,
  type ProxiedRequest,
  withoutChecksums,
} from '../support/faulty-proxy.ts';
import { shortenWaits } from '../support/short-waits.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

shortenWaits();
const directory = temporaryDirectory('chunk-writer');
const { bucket, proxy, retries } = await startTestBucket(join(directory, 's3'));
beforeEach(() => proxy.expect());

interface Seen {
  sent: number;
  md5s: number;
  readonly retries: string[];
}

/** A writer that records what it tells. */
function writerWith(options: WriteOptions = plainWrite, signal = new AbortController().signal) {
  retries.length = 0;
  const seen: Seen = { sent: 0, md5s: 0, retries };
  const events = { onSent: (bytes: number) => (seen.sent += bytes) };
  const bodyOf = (bytes: Uint8Array): PartBody => ({
    bytes,
    sha256: createHash('sha256').update(bytes).digest('base64'),
    md5: async () => {
      seen.md5s++;
      return createHash('md5').update(bytes).digest('base64');
    },
  });
  return { writer: new ChunkWriter(bucket, options, events, signal), seen, bodyOf };
}

const small = randomBytes(3000);
const isPart = ({ url }: ProxiedRequest) => /[?&]partNumber=/.test(url);
const isPut = ({ method }: ProxiedRequest) => method === 'PUT';

async function contentOf(key: string): Promise<Buffer> {
  const { Body } = await bucket.client.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

const threeParts = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(1000)];

/** Stores three parts, not in their order, and gives them in their order. */
async function storeThree({ writer, bodyOf }: ReturnType<typeof writerWith>, key: string) {
  const upload = await writer.begin(key);
  const stored = await Promise.all(
    [3, 1, 2].map(async (number) => {
      const bytes = threeParts[number - 1] ?? Buffer.alloc(0);
      const body = bodyOf(bytes);
      const etag = await writer.putPart(upload, number, body);
      return { number, size: bytes.length, etag, sha256: body.sha256 };
    }),
  );
  return { upload, stored: stored.sort((a, b) => a.number - b.number) };
}

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

for (const [what, spoil, second] of [
  ['by its SHA-256', (answer: ProxiedAnswer) => answer, errorAnswer(404, 'NoSuchUpload')],
  ['by its ETag where the server keeps no SHA-256', withoutChecksums, errorAnswer(404, 'NoSuchKey')],
  ['where the server fails at the second attempt', withoutChecksums, errorAnswer(500, 'UnknownError')],
] as const) {
  test(`a chunk whose completion was answered, but not heard, is known ${what}`, async () => {
    const kit = writerWith({ StorageClass: 'STANDARD' });
    const key = `host/unheard-${what.length}`;
    const { upload, stored } = await storeThree(kit, key);
    const isCompletion = ({ method, url }: ProxiedRequest) => method === 'POST' && url.includes('uploadId=');
    proxy.expect(
      {
        matches: isCompletion,
        times: 1,
        after: (answer) => ({ ...answer, cut: { afterBytes: 0, how: 'break' } }),
      },
      // S3 answers the same again for a while; later, and other servers at once, it does not know the upload any more.
      { matches: isCompletion, before: () => second },
      { matches: ({ method }) => method === 'HEAD', after: spoil },
    );
    const object = await kit.writer.complete(upload, stored);
    assert.match(object.etag, /^"[0-9a-f]{32}-3"$/);
    assert.deepEqual(await contentOf(key), Buffer.concat(threeParts));
    proxy.expect();
    const other = stored.map((part) => ({
      ...part,
      sha256: stored[0]?.sha256 ?? '',
      etag: stored[0]?.etag ?? '',
    }));
    assert.equal(await kit.writer.findMadeOf(key, other), undefined, 'of other parts it is not made');
    await assert.rejects(kit.writer.complete(upload, other), /cannot complete .*NoSuchUpload/);
  });
}

for (const [what, spoil] of [
  ['by its SHA-256', (answer: ProxiedAnswer) => answer],
  ['by its ETag where the server keeps no SHA-256', withoutChecksums],
] as const) {
  test(`a chunk of one part that was stored, but not heard of, is known ${what}`, async () => {
    const { writer, bodyOf } = writerWith();
    const key = `host/unheard-whole-${what.length}`;
    const cut = { afterBytes: 0, how: 'break' } as const;
    proxy.expect(
      { matches: isPut, times: 1, after: (answer) => ({ ...answer, cut }) },
      { matches: ({ method }) => method === 'HEAD', after: spoil },
    );
    const stored = await writer.putWhole(key, bodyOf(small));
    assert.equal(stored.etag, `"${createHash('md5').update(small).digest('hex')}"`);
    proxy.expect();
  });
}

test('over another object nothing is stored, in one part or in several, unless it is known to be ours', async () => {
  const kit = writerWith();
  const key = 'host/taken';
  const theirs = await kit.writer.putWhole(key, kit.bodyOf(randomBytes(small.length)));
  const before = await contentOf(key);
  const { upload, stored } = await storeThree(kit, key);
  for (const replaces of [undefined, '"0123456789abcdef0123456789abcdef"']) {
    await assert.rejects(kit.writer.putWhole(key, kit.bodyOf(small), replaces), KeyTaken);
    await assert.rejects(kit.writer.complete(upload, stored, replaces), KeyTaken);
  }
  assert.deepEqual(await contentOf(key), before);
  await kit.writer.complete(upload, stored, theirs.etag);
  assert.deepEqual(await contentOf(key), Buffer.concat(threeParts));
});

test('what was ours and is gone is stored again', async () => {
  const kit = writerWith();
  const gone = '"0123456789abcdef0123456789abcdef"';
  const { upload, stored } = await storeThree(kit, 'host/gone-three');
  await kit.writer.complete(upload, stored, gone);
  await kit.writer.putWhole('host/gone-whole', kit.bodyOf(small), gone);
  assert.deepEqual(await contentOf('host/gone-three'), Buffer.concat(threeParts));
  assert.deepEqual(await contentOf('host/gone-whole'), small);
});

test('a server that has too much to do is not asked whether it has completed a chunk all the same', async () => {
  const kit = writerWith();
  const { upload, stored } = await storeThree(kit, 'host/busy');
  const isCompletion = ({ method, url }: ProxiedRequest) => method === 'POST' && url.includes('uploadId=');
  proxy.expect({ matches: isCompletion, times: 2, before: () => errorAnswer(503, 'SlowDown') });
  await kit.writer.complete(upload, stored);
  assert.deepEqual(
    proxy.requests.map(({ method }) => method),
    ['POST', 'POST', 'POST'],
  );
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
  const body = { ...bodyOf(small), bytes: randomBytes(3000) };
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

test('what a server stored otherwise than it was sent is ours to write over', async () => {
  const { writer, bodyOf } = writerWith();
  const spoilt = randomBytes(small.length);
  const stored = await writer.putWhole('host/spoilt-for-real', bodyOf(spoilt));
  proxy.expect(
    // The answer to what was stored above comes for the next request, as if that had been spoilt on its way.
    {
      matches: isPut,
      times: 1,
      before: () => ({ status: 200, headers: { etag: stored.etag }, body: Buffer.alloc(0) }),
    },
  );
  await writer.putWhole('host/spoilt-for-real', bodyOf(small));
  assert.equal(proxy.requests[1]?.headers['if-match'], stored.etag.replaceAll('"', ''));
  assert.deepEqual(await contentOf('host/spoilt-for-real'), small);
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
  const writer = new ChunkWriter(paged, plainWrite, events, new AbortController().signal);
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
  await assert.rejects(sending, (error: Error) => error.name === 'AbortError' || error.message === 'enough');
  assert.deepEqual(seen.retries, []);
  assert.equal(seen.sent, 0);
});

test('what cannot be begun, completed or listed is named', async () => {
  const missing = await openTestBucket(proxy.endpoint, { S3_BUCKET: 'no-such-bucket' });
  const events = { onSent: () => undefined };
  const writer = new ChunkWriter(missing, plainWrite, events, new AbortController().signal);
  const upload = { key: 'k', uploadId: 'u' };
  await assert.rejects(writer.begin('k'), /cannot begin k: the bucket does not exist/);
  await assert.rejects(writer.listParts(upload), /cannot list the parts of k: the bucket does not exist/);
  await assert.rejects(writer.complete(upload, []), /cannot complete k: /);
  await assert.rejects(abortUpload(missing, upload), /cannot abort k: the bucket does not exist/);
  missing.close();
});
