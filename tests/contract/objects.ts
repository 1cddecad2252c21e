/** The contract of single objects: what is put is what is got, under any key. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { assertRefusal, check, digest, freshKey, hexDigest, raw, refused, type Target } from './target.ts';

async function bodyOf(target: Target, key: string): Promise<string> {
  const { Body } = await target.client.send(new GetObjectCommand({ Bucket: target.bucket, Key: key }));
  return (await Body?.transformToString()) ?? '';
}

/** A bare connection to the target's server. */
function connectTo({ endpoint }: Target): Socket {
  const { protocol, hostname, port } = new URL(endpoint);
  return protocol === 'https:'
    ? connectSecurely({ host: hostname, port: Number(port || 443), servername: hostname })
    : connect(Number(port || 80), hostname);
}

/** Defines the tests of single objects. */
export function objectContract(target: Target): void {
  const { client, bucket: Bucket } = target;

  check(target, undefined, 'an object comes back with its bytes, ETag, type and metadata', async () => {
    const Key = freshKey(target);
    const put = await client.send(
      new PutObjectCommand({
        Bucket,
        Key,
        Body: 'hello',
        ContentType: 'text/x-hello',
        Metadata: { colour: 'dark blue' },
      }),
    );
    assert.equal(put.ETag, `"${hexDigest('md5', 'hello')}"`);
    const got = await client.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await got.Body?.transformToString(), 'hello');
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    for (const answer of [got, head]) {
      assert.equal(answer.ContentLength, 5);
      assert.equal(answer.ETag, put.ETag);
      assert.equal(answer.ContentType, 'text/x-hello');
      assert.deepEqual(answer.Metadata, { colour: 'dark blue' });
      assert.ok(Math.abs(Date.now() - (answer.LastModified?.getTime() ?? 0)) < 60_000);
    }
  });

  check(target, 'object-headers', 'an object keeps its headers, and its answers have theirs', async () => {
    const Key = freshKey(target);
    const kept = { CacheControl: 'no-store', ContentEncoding: 'identity' };
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...kept }));
    const { CacheControl, ContentEncoding, AcceptRanges, $metadata } = await client.send(
      new HeadObjectCommand({ Bucket, Key }),
    );
    assert.deepEqual({ CacheControl, ContentEncoding, AcceptRanges }, { ...kept, AcceptRanges: 'bytes' });
    assert.ok($metadata.requestId);
  });

  check(target, undefined, 'an empty object is an object', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '' }));
    assert.equal(await bodyOf(target, Key), '');
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    assert.deepEqual([head.ContentLength, head.ETag], [0, `"${hexDigest('md5', '')}"`]);
  });

  check(target, 'default-type', 'an object put without a type is binary/octet-stream', async () => {
    const key = freshKey(target);
    await raw(target, { method: 'PUT', key, body: Buffer.from('x') });
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: key }));
    assert.equal(head.ContentType, 'binary/octet-stream');
  });

  check(
    target,
    'large-puts',
    'a second put replaces the first, and a large one comes back unchanged',
    async () => {
      const Key = freshKey(target);
      const Body = randomBytes(target.largePutBytes ?? 20 * 1024 * 1024);
      await client.send(new PutObjectCommand({ Bucket, Key, Body: 'first' }));
      await client.send(new PutObjectCommand({ Bucket, Key, Body }));
      const { Body: stream, ContentLength } = await client.send(new GetObjectCommand({ Bucket, Key }));
      const bytes = (await stream?.transformToByteArray()) ?? new Uint8Array();
      assert.equal(ContentLength, Body.length);
      assert.equal(createHash('sha256').update(bytes).digest('base64'), digest('sha256', Body));
    },
  );

  check(target, undefined, 'a deleted object is gone, and deleting it again is no error', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    for (const _ of [1, 2]) {
      const { $metadata } = await client.send(new DeleteObjectCommand({ Bucket, Key }));
      assert.equal($metadata.httpStatusCode, 204);
    }
    await refused(client.send(new GetObjectCommand({ Bucket, Key })), 'NoSuchKey', 404);
    await refused(client.send(new HeadObjectCommand({ Bucket, Key })), 'NotFound', 404);
  });

  check(target, undefined, 'an error is a document with a code; for HEAD it has no body', async () => {
    const key = freshKey(target);
    assertRefusal(await raw(target, { method: 'GET', key }), 'NoSuchKey', 404);
    const head = await raw(target, { method: 'HEAD', key });
    assert.deepEqual([head.status, head.text], [404, '']);
  });

  check(target, 'error-messages', 'an error says in words what is wrong', async () => {
    const get = await raw(target, { method: 'GET', key: freshKey(target) });
    assert.match(get.text, /<Message>[^<]+<\/Message>/);
  });

  check(target, 'request-ids', 'an error names its request, in the document and beside it', async () => {
    const get = await raw(target, { method: 'GET', key: freshKey(target) });
    const id = get.headers.get('x-amz-request-id');
    assert.deepEqual([/<RequestId>([^<]+)</.exec(get.text)?.[1], id !== null], [id, true]);
  });

  check(
    target,
    'key-names',
    'any key works: spaces, unicode, dots, dashes, line ends, 1024 bytes',
    async () => {
      const base = freshKey(target, '');
      const names = [
        'a space and a + plus',
        ' leading and trailing ',
        'ünïcödé/𝄞/日本',
        '../../../etc/passwd',
        './x/../y',
        '//double//slash//',
        '-rf',
        'line\nfeed\rreturn\ttab',
        '100%25 & <tag> "quoted" \'single\' (bracket)*!',
        '__proto__',
        'k'.repeat(1024 - base.length),
      ];
      for (const name of names) {
        await client.send(new PutObjectCommand({ Bucket, Key: `${base}${name}`, Body: name }));
      }
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: base }));
      assert.deepEqual(
        new Set(Contents.map((each) => each.Key)),
        new Set(names.map((name) => `${base}${name}`)),
      );
      for (const name of names) {
        assert.equal(await bodyOf(target, `${base}${name}`), name);
      }
      const removed = await client.send(
        new DeleteObjectsCommand({
          Bucket,
          Delete: { Objects: names.map((name) => ({ Key: `${base}${name}` })) },
        }),
      );
      assert.deepEqual(
        new Set(removed.Deleted?.map((each) => each.Key)),
        new Set(names.map((name) => `${base}${name}`)),
      );
      const after = await client.send(new ListObjectsV2Command({ Bucket, Prefix: base }));
      assert.equal(after.KeyCount, 0);
    },
  );

  check(target, 'key-length', 'a key of more than 1024 bytes is refused', async () => {
    const key = `${freshKey(target)}${'ü'.repeat(500)}`;
    assert.equal((await raw(target, { method: 'PUT', key, body: 'x' })).status, 400);
  });

  check(target, 'error-codes', 'the refusal of a long key is KeyTooLongError', async () => {
    const key = `${freshKey(target)}${'ü'.repeat(500)}`;
    assertRefusal(await raw(target, { method: 'PUT', key, body: 'x' }), 'KeyTooLongError', 400);
  });

  check(
    target,
    'response-headers',
    'an answer can be given other headers by response-* parameters',
    async () => {
      const Key = freshKey(target);
      await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ContentType: 'text/plain' }));
      const got = await client.send(
        new GetObjectCommand({
          Bucket,
          Key,
          ResponseContentType: 'text/x-other',
          ResponseContentDisposition: 'inline',
        }),
      );
      await got.Body?.transformToString();
      assert.deepEqual([got.ContentType, got.ContentDisposition], ['text/x-other', 'inline']);
    },
  );

  check(target, 'storage-classes', 'a storage class is kept and reported', async () => {
    const Key = freshKey(target);
    for (const asked of ['STANDARD_IA', 'GLACIER', 'DEEP_ARCHIVE'] as const) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', StorageClass: asked }));
      const { StorageClass } = await client.send(new HeadObjectCommand({ Bucket, Key }));
      assert.equal(StorageClass, asked);
    }
  });

  check(target, 'standard-by-silence', 'the class STANDARD is left out of answers', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', StorageClass: 'STANDARD' }));
    const { StorageClass } = await client.send(new HeadObjectCommand({ Bucket, Key }));
    assert.equal(StorageClass, undefined);
  });

  check(target, 'unknown-storage-class', 'an unknown storage class is refused', async () => {
    const headers = { 'x-amz-storage-class': 'COLDISH' };
    const response = await raw(target, { method: 'PUT', key: freshKey(target), headers });
    assert.equal(response.status, 400, response.text.slice(0, 500));
  });

  check(target, 'error-codes', 'the refusal of an unknown storage class is InvalidStorageClass', async () => {
    const headers = { 'x-amz-storage-class': 'COLDISH' };
    const response = await raw(target, { method: 'PUT', key: freshKey(target), headers });
    assertRefusal(response, 'InvalidStorageClass', 400);
  });

  const encryptions = [
    ['encryption', 'AES256', { ServerSideEncryption: 'AES256' }, ['AES256', undefined]],
    ['default-encryption', 'AES256 where nothing is asked', {}, ['AES256', undefined]],
    ['kms', 'aws:kms', { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'key-1' }, ['aws:kms', 'key-1']],
  ] as const;
  for (const [feature, what, asked, expected] of encryptions) {
    check(target, feature, `server-side encryption is reported on put and head: ${what}`, async () => {
      const Key = freshKey(target);
      const put = await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...asked }));
      const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
      for (const answer of [put, head]) {
        assert.deepEqual([answer.ServerSideEncryption, answer.SSEKMSKeyId], expected);
      }
      if (feature === 'kms') {
        assert.notEqual(head.ETag, `"${hexDigest('md5', 'x')}"`, 'under aws:kms an ETag is not an MD5');
      }
    });
  }

  check(
    target,
    'encryption-validation',
    'an unknown encryption, or a key id without aws:kms, is InvalidArgument',
    async () => {
      const key = freshKey(target);
      for (const headers of [
        { 'x-amz-server-side-encryption': 'rot13' },
        { 'x-amz-server-side-encryption': 'AES256', 'x-amz-server-side-encryption-aws-kms-key-id': 'key-1' },
      ]) {
        assertRefusal(await raw(target, { method: 'PUT', key, headers }), 'InvalidArgument', 400);
      }
    },
  );

  check(target, 'metadata-limit', 'more than 2 KiB of user metadata are refused', async () => {
    const Key = freshKey(target);
    const put = (length: number) =>
      client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', Metadata: { name: 'v'.repeat(length) } }));
    await put(2044);
    await refused(put(2045), 'MetadataTooLarge', 400);
  });

  check(target, 'missing-length', 'a body without a length is MissingContentLength', async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('of unknown length'));
        controller.close();
      },
    });
    const response = await raw(target, { method: 'PUT', key: freshKey(target), body });
    assertRefusal(response, 'MissingContentLength', 411);
  });

  check(target, undefined, 'an upload that breaks off leaves the old object and nothing new', async () => {
    const Key = freshKey(target);
    // A request that is right in everything, to be sent a second time by hand, and then only half of it.
    let signed: Record<string, string> = {};
    await raw(target, {
      method: 'PUT',
      key: Key,
      body: Buffer.alloc(1000, 'n'),
      tamper: (headers) => {
        signed = { ...headers };
      },
    });
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'old' }));
    const lines = Object.entries({ ...signed, 'content-length': '1000' }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    const socket = connectTo(target);
    socket.write(`PUT /${Bucket}/${Key} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${'n'.repeat(500)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(await bodyOf(target, Key), 'old');
  });

  check(
    target,
    'strict-validation',
    'a method that an object does not have is MethodNotAllowed',
    async () => {
      assertRefusal(await raw(target, { method: 'POST', key: freshKey(target) }), 'MethodNotAllowed', 405);
    },
  );
}
