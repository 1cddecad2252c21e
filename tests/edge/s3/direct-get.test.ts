import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Agent, createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, beforeEach, mock, test } from 'node:test';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { getInto } from '../../../lib/edge/s3/direct-get.ts';
import { sendOnce } from '../../../lib/edge/s3/requests/send.ts';
import type { Bucket } from '../../../lib/edge/s3/s3-client.ts';
import { retryAfterOf, statusOf } from '../../../lib/edge/s3/s3-errors.ts';
import { bucketName, openTestBucket } from '../../support/bucket.ts';

const data = randomBytes(200_000);
const key = "a b/ü+'(c).bin";
const [offset, length] = [1000, 150_000];
const range = { 'content-range': `bytes ${offset}-${offset + length - 1}/${data.length}` };
const bytes = data.subarray(offset, offset + length);

const usual: RequestListener = (_, response) => {
  response.writeHead(206, { ...range, 'content-length': length, etag: '"e"' }).end(bytes);
};
let answering = usual;
const requests: { url: string; headers: NodeJS.Dict<string | string[]> }[] = [];
const server = createServer((request, response) => {
  requests.push({ url: request.url ?? '', headers: request.headers });
  answering(request, response);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(() => {
  server.closeAllConnections();
  server.close();
});

/** A bucket whose SDK has sent a request already, as every command does before it reads a chunk. */
async function openWarm(): Promise<{ readonly bucket: Bucket; readonly direct: () => number }> {
  const bucket = await openTestBucket(endpoint);
  answering = usual;
  await sendOnce(bucket, new GetObjectCommand({ Bucket: bucketName, Key: 'first' }));
  requests.length = 0;
  const { mock: calls } = mock.method(bucket.connections, 'send');
  after(() => bucket.close());
  return { bucket, direct: () => calls.callCount() };
}

let { bucket, direct } = await openWarm();
beforeEach(async () => {
  ({ bucket, direct } = await openWarm());
});

async function get(more: object = {}) {
  const Range = `bytes=${offset}-${offset + length - 1}`;
  const command = new GetObjectCommand({ Bucket: bucketName, Key: key, Range, ...more });
  const target = new Uint8Array(new SharedArrayBuffer(length));
  let counted = 0;
  const onBytes = (more: number) => {
    counted += more;
  };
  const output = await getInto(bucket, { command, offset, target, onBytes });
  const body = output && Buffer.from((await output.Body?.transformToByteArray()) ?? []);
  return { counted, isDirect: Buffer.from(target).equals(bytes), body, output };
}

test('the bytes go into the target, and the request is the one that the SDK would send', async () => {
  assert.deepEqual(await get({ IfMatch: '"e"' }), {
    counted: length,
    isDirect: true,
    body: undefined,
    output: undefined,
  });
  bucket.connections.send = async () => {
    throw Object.assign(new Error('not this way'), { code: 'ECONNRESET' });
  };
  await assert.rejects(get(), /not this way/);
  const Range = `bytes=${offset}-${offset + length - 1}`;
  await sendOnce(bucket, new GetObjectCommand({ Bucket: bucketName, Key: key, Range, IfMatch: '"e"' }));
  const [ours, theirs] = requests.map(({ url, headers }) => {
    const { authorization, 'x-amz-date': _, 'amz-sdk-invocation-id': __, connection: ___, ...same } = headers;
    return { url, ...same, signed: /SignedHeaders=[^,]+/.exec(String(authorization))?.[0] };
  });
  assert.equal(requests.length, 2);
  assert.deepEqual(ours, theirs);
});

test('an object that is the range as a whole may come as such', async () => {
  answering = (_, response) => void response.writeHead(200, { 'content-length': length }).end(bytes);
  const command = new GetObjectCommand({ Bucket: bucketName, Key: key, Range: `bytes=0-${length - 1}` });
  const target = new Uint8Array(length);
  assert.equal(await getInto(bucket, { command, offset: 0, target, onBytes: () => undefined }), undefined);
  assert.ok(bytes.equals(target));
});

for (const [what, unusual] of [
  ['in chunks', { ...range }],
  ['with a content coding', { ...range, 'content-length': length, 'content-encoding': 'aws-chunked' }],
  ['without its range', { 'content-length': length }],
  ['with another range', { 'content-length': length, 'content-range': 'bytes 0-149999/200000' }],
] as const) {
  test(`an answer ${what} is read by the SDK; after three, no other is asked for`, async () => {
    answering = (_, response) => void response.writeHead(206, unusual).end(bytes);
    for (const [turn, asked] of [2, 2, 2, 1, 1].entries()) {
      requests.length = 0;
      const { counted, isDirect, body } = await get();
      assert.ok(body?.equals(bytes));
      assert.deepEqual([counted, isDirect, requests.length], [0, false, asked], `turn ${turn}`);
    }
    assert.equal(direct(), 3);
  });
}

test('a single answer of another form is no reason to give it up', async () => {
  for (let turn = 0; turn < 3; turn++) {
    answering = (_, response) => void response.writeHead(206, range).end(bytes);
    for (const _ of [1, 2]) assert.equal((await get()).isDirect, false);
    answering = usual;
    assert.equal((await get()).isDirect, true);
  }
});

for (const framing of ['by its length', 'in chunks'] as const) {
  test(`an error that comes ${framing} is the SDK's, after a single request`, async () => {
    const xml = '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>too much</Message></Error>';
    answering = (_, response) => {
      const size = framing === 'in chunks' ? {} : { 'content-length': xml.length };
      response.writeHead(503, { ...size, 'retry-after': '7', 'content-type': 'application/xml' });
      response.write(xml.slice(0, 20));
      setTimeout(() => response.end(xml.slice(20)), 5);
    };
    await assert.rejects(get(), (error: Error) => {
      assert.deepEqual([error.name, error.message], ['SlowDown', 'too much']);
      assert.deepEqual([statusOf(error), retryAfterOf(error)], [503, '7']);
      return true;
    });
    assert.deepEqual([requests.length, direct()], [1, 1]);
  });
}

test('what an error says is cleaned of secrets', async () => {
  answering = (_, response) => {
    const xml = '<Error><Code>Odd</Code><Message>the key is not-a-secret indeed</Message></Error>';
    response.writeHead(400, { 'content-length': xml.length }).end(xml);
  };
  await assert.rejects(get(), { name: 'Odd', message: 'the key is (removed) indeed' });
});

test('through a proxy, and before the SDK has sent anything, the SDK reads', async () => {
  class ProxyAgent extends Agent {}
  const handler = bucket.client.config.requestHandler as unknown as {
    updateHttpClientConfig(key: string, value: unknown): void;
  };
  handler.updateHttpClientConfig('httpAgent', new ProxyAgent());
  assert.ok((await get()).body?.equals(bytes));
  assert.ok((await get()).body?.equals(bytes));
  assert.equal(direct(), 0);
});
