/** The contract of aws-chunked bodies: a stream whose checksum comes behind it, which is how the SDK sends streams. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  assertRefusal,
  check,
  digest,
  freshKey,
  type RawResponse,
  raw,
  refused,
  type Target,
} from './target.ts';

const DATA = 'some data in two chunks';

/** A framed body with the given trailer lines. */
function frame(trailer: readonly string[], data = DATA): string {
  const halves = [data.slice(0, 10), data.slice(10)];
  const chunks = halves.map((half) => `${half.length.toString(16)}\r\n${half}\r\n`);
  return `${chunks.join('')}0\r\n${trailer.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** Defines the tests of aws-chunked bodies. */
export function trailerContract(target: Target): void {
  const { client, bucket: Bucket } = target;
  const right = `x-amz-checksum-sha256:${digest('sha256', DATA)}`;

  async function put(key: string, body: string, change: Record<string, string> = {}): Promise<RawResponse> {
    return await raw(target, {
      method: 'PUT',
      key,
      body,
      contentSha256: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: {
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': String(DATA.length),
        'x-amz-trailer': 'x-amz-checksum-sha256',
        ...change,
      },
    });
  }

  check(
    target,
    'trailers',
    'the SDK sends a stream, and its bytes arrive without their framing',
    async () => {
      const Key = freshKey(target);
      const slices = Array.from({ length: 50 }, (_, index) => Buffer.alloc(10_007, index));
      const length = 50 * 10_007;
      for (const ChecksumAlgorithm of ['SHA256', 'CRC32'] as const) {
        await client.send(
          new PutObjectCommand({
            Bucket,
            Key,
            Body: Readable.from(slices),
            ContentLength: length,
            ChecksumAlgorithm,
          }),
        );
        const got = await client.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
        assert.deepEqual(Buffer.from((await got.Body?.transformToByteArray()) ?? []), Buffer.concat(slices));
        assert.equal(got.ContentEncoding, undefined);
        assert.ok(got[`Checksum${ChecksumAlgorithm}`]);
      }
    },
  );

  check(target, 'trailers', 'a right trailer is taken, its checksum kept; other encodings stay', async () => {
    const Key = freshKey(target);
    const response = await put(Key, frame([right]), { 'content-encoding': 'aws-chunked,identity' });
    assert.equal(response.status, 200, response.text);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    assert.equal(head.ChecksumSHA256, digest('sha256', DATA));
    assert.deepEqual([head.ContentLength, head.ContentEncoding], [DATA.length, 'identity']);
  });

  check(target, 'trailers', 'a wrong, missing or unknown trailer leaves no object', async () => {
    const Key = freshKey(target);
    const wrong = `x-amz-checksum-sha256:${digest('sha256', 'other')}`;
    assertRefusal(await put(Key, frame([wrong])), 'BadDigest', 400);
    assertRefusal(await put(Key, frame([])), 'MalformedTrailerError', 400);
    assertRefusal(await put(Key, frame(['no colon'])), 'MalformedTrailerError', 400);
    assertRefusal(await put(Key, frame([right]), { 'x-amz-trailer': 'x-amz-meta-x' }), 'InvalidRequest', 400);
    await refused(client.send(new HeadObjectCommand({ Bucket, Key })), 'NotFound', 404);
  });

  check(target, 'trailers', 'the decoded length is demanded and held', async () => {
    const Key = freshKey(target);
    assertRefusal(
      await put(Key, frame([right]), { 'x-amz-decoded-content-length': 'many' }),
      'MissingContentLength',
      411,
    );
    assertRefusal(
      await put(Key, frame([right]), { 'x-amz-decoded-content-length': '99' }),
      'IncompleteBody',
      400,
    );
    assertRefusal(
      await put(Key, frame([right]), { 'x-amz-decoded-content-length': '5' }),
      'InvalidRequest',
      400,
    );
  });

  check(target, 'trailers', 'broken framing is refused', async () => {
    const Key = freshKey(target);
    assertRefusal(await put(Key, 'not framed at all\r\n'), 'InvalidRequest', 400);
    for (const cut of [20, -2]) {
      assertRefusal(await put(Key, frame([right]).slice(0, cut)), 'IncompleteBody', 400);
    }
    assertRefusal(await put(Key, frame([right]).replace('\r\nd\r\n', '\r\nc\r\n')), 'InvalidRequest', 400);
    await refused(client.send(new HeadObjectCommand({ Bucket, Key })), 'NotFound', 404);
  });
}
