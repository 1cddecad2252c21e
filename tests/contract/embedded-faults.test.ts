/** Each fault of the embedded server as a client sees it, and what the server has done by then. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { finished } from 'node:stream/promises';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { FaultRule } from '../../testing/s3-server/faults/fault-rules.ts';
import type { S3Server } from '../../testing/s3-server/server.ts';
import { BUCKET as Bucket, withServer } from './start.ts';
import { assertRefusal, beginPut, encodeKey, raw, refused, signer, type Target } from './target.ts';

const BROKEN = /ECONNRESET|EPIPE|socket hang up|aborted/;

/** Asserts that a call fails because its connection broke. */
async function broken(call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error: Error & { code?: string }) => {
    assert.match(`${error.code} ${error.message}`, BROKEN);
    return true;
  });
}

/** How many requests met each rule's fault. */
function fired(server: S3Server): number[] {
  return server.faults.list().map((status) => status.fired);
}

/** Asserts that a server with a request under way stops, and not only when that is through. */
async function stopsSoon(server: S3Server): Promise<void> {
  const stopped = server.stop().then(() => 'stopped');
  assert.equal(await Promise.race([stopped, sleep(5000, 'still running', { ref: false })]), 'stopped');
}

async function keysOf({ client }: Target): Promise<string[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
  return Contents.map(({ Key = '' }) => Key);
}

/** Begins a GET on a connection of its own, so that its body can be looked at as it comes. */
async function beginGet(target: Target, key: string): Promise<IncomingMessage> {
  const { hostname, host, port } = new URL(target.endpoint);
  const path = `/${target.bucket}/${encodeKey(key)}`;
  const { headers } = await signer(target).sign({
    method: 'GET',
    protocol: 'http:',
    hostname,
    path,
    headers: { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  });
  // Kept alive, so that the server does not close the connection but for the fault.
  const kept = { ...headers, connection: 'keep-alive' };
  const request = httpRequest({ hostname, port, path, headers: kept, agent: false }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** Reads what comes of a body; `error` is what ended it early. */
async function readAll(response: IncomingMessage): Promise<{ body: Buffer; error: unknown }> {
  const slices: Buffer[] = [];
  try {
    for await (const slice of response) {
      slices.push(slice);
    }
    return { body: Buffer.concat(slices), error: undefined };
  } catch (error) {
    return { body: Buffer.concat(slices), error };
  }
}

/** Runs `work` with a server that holds 'a' with this text. */
async function withObject(
  Body: string,
  rule: FaultRule,
  work: (target: Target, server: S3Server) => Promise<void>,
): Promise<void> {
  await withServer({}, async (server, target) => {
    await target.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body }));
    server.faults.set([rule]);
    await work(target, server);
  });
}

describe('faults of the embedded server', () => {
  test('an error can ask to be left alone for some seconds', async () => {
    const rule = { fault: 'error', code: 'SlowDown', retryAfter: 7, next: 1 } as const;
    await withServer({ faults: [rule] }, async (_server, target) => {
      const put = () => raw(target, { method: 'PUT', key: 'a', body: 'x' });
      const [refused, taken] = [await put(), await put()];
      assertRefusal(refused, 'SlowDown', 503);
      assert.equal(refused.headers.get('retry-after'), '7');
      assert.deepEqual([taken.status, taken.headers.get('retry-after')], [200, null]);
    });
  });

  test('an error is answered in the words of S3, for the next n requests, and nothing is done', async () => {
    for (const [code, status] of [
      ['InternalError', 500],
      ['SlowDown', 503],
      ['ServiceUnavailable', 503],
      ['RequestTimeout', 400],
      ['ExpiredToken', 400],
      ['RequestTimeTooSkewed', 403],
      ['NoSuchBucket', 404],
    ] as const) {
      const faults: readonly FaultRule[] = [
        { fault: 'error', code, operation: 'PutObject', key: '*/b', next: 2 },
      ];
      await withServer({ faults }, async (server, target) => {
        // Some megabytes, so that the client is still sending when the answer comes.
        const put = (key: string) => raw(target, { method: 'PUT', key, body: Buffer.alloc(3_000_000) });
        assert.equal((await put('other')).status, 200);
        for (let call = 0; call < 2; call += 1) {
          const response = await put('a/b');
          assertRefusal(response, code, status);
          assert.match(response.text, /<Message>[A-Z].*<Resource>\/contract\/a\/b<\/Resource>/);
        }
        assert.deepEqual(await keysOf(target), ['other']);
        assert.equal((await put('a/b')).status, 200);
        assert.deepEqual(fired(server), [2]);
        assert.deepEqual(
          server.requests.map((request) => request.status),
          [200, status, status, 200, 200],
        );
      });
    }
  });

  test('every third part and no other meets the fault', async () => {
    await withServer({}, async (server, { client }) => {
      const ids = { Bucket, Key: 'm' };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(ids));
      server.faults.set([{ fault: 'error', code: 'SlowDown', operation: 'UploadPart', every: 3 }]);
      const refusals: number[] = [];
      for (let PartNumber = 1; PartNumber <= 7; PartNumber += 1) {
        const part = client.send(new UploadPartCommand({ ...ids, UploadId, PartNumber, Body: 'x' }));
        await part.catch(() => refusals.push(PartNumber));
      }
      assert.deepEqual(refusals, [3, 6]);
      const { Parts = [] } = await client.send(new ListPartsCommand({ ...ids, UploadId }));
      assert.deepEqual(
        Parts.map(({ PartNumber }) => PartNumber),
        [1, 2, 4, 5, 7],
      );
      const [status] = server.faults.list();
      assert.deepEqual([status?.matched, status?.fired], [7, 2]);
    });
  });

  test('412 and 409 are for conditional writes only', async () => {
    for (const [code, status] of [
      ['PreconditionFailed', 412],
      ['ConditionalRequestConflict', 409],
    ] as const) {
      await withObject('x', { fault: 'error', code }, async ({ client }, server) => {
        await client.send(new PutObjectCommand({ Bucket, Key: 'b', Body: 'x' }));
        const conditional = new PutObjectCommand({ Bucket, Key: 'c', Body: 'x', IfNoneMatch: '*' });
        await refused(client.send(conditional), code, status);
        await client.send(new GetObjectCommand({ Bucket, Key: 'a', IfMatch: '*' }));
        assert.deepEqual(fired(server), [1]);
      });
    }
  });

  test('reset-before breaks the connection without the body, reset-after with it; neither does anything', async () => {
    for (const fault of ['reset-before', 'reset-after'] as const) {
      const rule = { fault, operation: 'PutObject', next: 1 } as const;
      await withServer({ faults: [rule] }, async (server, target) => {
        const { request, response } = await beginPut(target, 'a', 10);
        const reset = broken(response);
        if (fault === 'reset-before') {
          request.flushHeaders();
        } else {
          request.end('0123456789');
        }
        await reset;
        request.destroy();
        const [record] = server.requests;
        assert.deepEqual([record?.bytesReceived, record?.status], [fault === 'reset-before' ? 0 : 10, 0]);
        assert.deepEqual(await keysOf(target), []);
        await target.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
        assert.deepEqual(await keysOf(target), ['a']);
      });
    }
  });

  test('with a lost response everything was done: put, completed or deleted', async () => {
    await withServer({}, async (server, target) => {
      const { client } = target;
      const upload = { Bucket, Key: 'm' };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(upload));
      const { ETag } = await client.send(
        new UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: 'x' }),
      );
      server.faults.set([
        {
          fault: 'lost-response',
          operation: ['PutObject', 'CompleteMultipartUpload', 'DeleteObject', 'GetObject'],
        },
      ]);
      await broken(client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' })));
      assert.deepEqual(await keysOf(target), ['a']);
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
      await broken(client.send(new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload })));
      assert.deepEqual(await keysOf(target), ['a', 'm']);
      await broken(client.send(new GetObjectCommand({ Bucket, Key: 'a' })));
      await broken(client.send(new DeleteObjectCommand({ Bucket, Key: 'a' })));
      assert.deepEqual(await keysOf(target), ['m']);
      assert.deepEqual(fired(server), [4]);
    });
  });

  test('a stall keeps the answer back for its time, although everything was done', async () => {
    const rule = { fault: 'stall', ms: 400, operation: 'PutObject', next: 1 } as const;
    await withServer({ faults: [rule] }, async (_server, target) => {
      let answered = false;
      const put = target.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' })).then(() => {
        answered = true;
      });
      const begun = performance.now();
      while ((await keysOf(target)).length === 0) {
        await sleep(5);
      }
      await put;
      assert.ok(answered);
      assert.ok(performance.now() - begun > 350);
    });
  });

  test('a stall for ever in a body leaves the client with the beginning of it, and does not keep stop() waiting', async () => {
    await withObject('0123456789', { fault: 'stall', bytes: 4 }, async (target, server) => {
      const response = await beginGet(target, 'a');
      assert.equal(response.headers['content-length'], '10');
      let received = '';
      response.on('data', (piece: Buffer) => {
        received += piece.toString();
      });
      const ended = assert.rejects(finished(response), BROKEN);
      while (received.length < 4) {
        await sleep(5);
      }
      await sleep(100);
      assert.equal(received, '0123');
      await stopsSoon(server);
      await ended;
      assert.equal(received, '0123');
    });
  });

  test('stop() does not wait for an answer that is kept back', async () => {
    await withObject('x', { fault: 'stall', operation: 'HeadObject' }, async (target, server) => {
      const head = broken(target.client.send(new HeadObjectCommand({ Bucket, Key: 'a' })));
      while (fired(server)[0] === 0) {
        await sleep(5);
      }
      await stopsSoon(server);
      await head;
    });
  });

  test('a stall in a body that ends in time gives the whole body', async () => {
    await withObject('0123456789', { fault: 'stall', bytes: 4, ms: 20 }, async (target) => {
      const { body, error } = await readAll(await beginGet(target, 'a'));
      assert.deepEqual([body.toString(), error], ['0123456789', undefined]);
    });
  });

  test('slow bodies, of the request and of the answer, take their time and are whole', async () => {
    const text = 'some bytes'.repeat(200);
    const rule = { fault: 'slow', bytesPerSecond: 10_000 } as const;
    await withServer({ faults: [rule] }, async (server, target) => {
      const begun = performance.now();
      assert.equal((await raw(target, { method: 'PUT', key: 'a', body: text })).status, 200);
      const put = performance.now();
      const response = await raw(target, { method: 'GET', key: 'a' });
      assert.deepEqual([response.status, response.text], [200, text]);
      // 2000 bytes are 200 ms; timers may end a little early.
      assert.ok(put - begun > 180, `the upload took ${put - begun} ms`);
      assert.ok(performance.now() - put > 180);
      assert.equal(server.requests[0]?.bytesReceived, 2000);
    });
  });

  // Bodies of more than 512 KiB come from the disk in several pieces.
  test('a truncated body ends early in order, after exactly so many bytes', async () => {
    const text = '0123456789'.repeat(60_000);
    for (const [bytes, expected] of [
      [0, 0],
      [567_890, 567_890],
      [9_999_999, text.length - 1],
    ] as const) {
      await withObject(
        text,
        { fault: 'truncate', bytes, operation: 'GetObject', next: 1 },
        async (target) => {
          const response = await beginGet(target, 'a');
          assert.deepEqual([response.statusCode, response.headers['content-length']], [200, '600000']);
          assert.ok(response.headers['x-amz-request-id'] !== undefined);
          const { body, error } = await readAll(response);
          assert.equal(body.toString(), text.slice(0, expected));
          assert.match(String(error), /aborted/);
          const again = await raw(target, { method: 'GET', key: 'a' });
          assert.equal(again.text, text);
        },
      );
    }
  });

  test('a corrupt body has one wrong byte, under the right length and headers', async () => {
    const text = '0123456789'.repeat(60_000);
    for (const [offset, expected] of [
      [undefined, 0],
      [567_890, 567_890],
      [9_999_999, text.length - 1],
    ] as const) {
      const rule: FaultRule = { fault: 'corrupt', operation: 'GetObject', next: 1, offset };
      await withObject(text, rule, async (target) => {
        const { ETag } = await target.client.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
        const response = await beginGet(target, 'a');
        assert.deepEqual([response.headers.etag, response.headers['content-length']], [ETag, '600000']);
        const { body, error } = await readAll(response);
        assert.deepEqual([body.length, error], [text.length, undefined]);
        const wrong: number[] = [];
        for (let index = 0; index < text.length; index += 1) {
          if (body[index] !== text.charCodeAt(index)) {
            wrong.push(index);
          }
        }
        assert.deepEqual(wrong, [expected]);
      });
    }
  });

  test('the SDK notices a corrupt byte by the checksum of the object', async () => {
    await withObject('hello', { fault: 'corrupt', operation: 'GetObject' }, async ({ client }) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'a', ChecksumMode: 'ENABLED' }));
      assert.ok(Body !== undefined);
      await assert.rejects(Body.transformToString(), /[Cc]hecksum/);
    });
  });

  test('a client that goes away in the middle of a slow body ends it', async () => {
    await withObject('x'.repeat(10_000), { fault: 'slow', bytesPerSecond: 10 }, async (target, server) => {
      const response = await beginGet(target, 'a');
      await once(response, 'data');
      response.destroy();
      await stopsSoon(server);
    });
  });

  test('rules set while it runs replace those before; a bad one is refused and changes nothing', async () => {
    await withObject('x', { fault: 'reset-before' }, async ({ client }, server) => {
      assert.throws(
        () => server.faults.set([{ fault: 'slow' } as unknown as FaultRule]),
        /fault rules: 0\.bytesPerSecond/,
      );
      await broken(client.send(new HeadObjectCommand({ Bucket, Key: 'a' })));
      server.faults.clear();
      await client.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
      assert.deepEqual(fired(server), []);
    });
  });
});
