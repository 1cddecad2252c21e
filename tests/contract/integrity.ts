/** The contract of integrity: bytes that are not what the client says they are never become an object. */
import assert from 'node:assert/strict';
import { ChecksumAlgorithm, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { assertRefusal, check, digest, freshKey, raw, refused, type Target } from './target.ts';

const ALGORITHMS = [
  ChecksumAlgorithm.CRC32,
  ChecksumAlgorithm.CRC32C,
  ChecksumAlgorithm.CRC64NVME,
  ChecksumAlgorithm.SHA1,
  ChecksumAlgorithm.SHA256,
] as const;

/** The checks of `123456789` that the standards of these CRCs give, so that client and server cannot err together. */
const KNOWN = {
  CRC32: Buffer.from('cbf43926', 'hex').toString('base64'),
  CRC32C: Buffer.from('e3069283', 'hex').toString('base64'),
  CRC64NVME: Buffer.from('ae8b14860a799888', 'hex').toString('base64'),
  SHA1: digest('sha1', '123456789'),
  SHA256: digest('sha256', '123456789'),
} as const;

/** Defines the tests of digests and checksums. */
export function integrityContract(target: Target): void {
  const { client, bucket: Bucket } = target;
  const body = '123456789';

  check(target, 'content-md5', 'Content-MD5 is verified, and has to be one', async () => {
    const key = freshKey(target);
    const put = (md5: string) => raw(target, { method: 'PUT', key, body, headers: { 'content-md5': md5 } });
    assertRefusal(await put(digest('md5', 'other')), 'BadDigest', 400);
    for (const malformed of ['nonsense', digest('sha1', body)]) {
      assertRefusal(await put(malformed), 'InvalidDigest', 400);
    }
    await refused(client.send(new HeadObjectCommand({ Bucket, Key: key })), 'NotFound', 404);
    assert.equal((await put(digest('md5', body))).status, 200);
  });

  check(target, 'payload-hash', 'the signed hash of a body is verified', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'old' }));
    const contentSha256 = '0'.repeat(64);
    const response = await raw(target, { method: 'PUT', key: Key, body, contentSha256 });
    assertRefusal(response, 'XAmzContentSHA256Mismatch', 400);
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await Body?.transformToString(), 'old');
  });

  check(target, undefined, 'UNSIGNED-PAYLOAD takes a body unseen', async () => {
    const key = freshKey(target);
    const response = await raw(target, { method: 'PUT', key, body, contentSha256: 'UNSIGNED-PAYLOAD' });
    assert.equal(response.status, 200);
  });

  for (const algorithm of ALGORITHMS) {
    const header = `x-amz-checksum-${algorithm.toLowerCase()}`;

    check(target, 'checksums', `${algorithm} is verified, kept, and reported to who asks`, async () => {
      const Key = freshKey(target);
      const value = KNOWN[algorithm];
      const put = await raw(target, { method: 'PUT', key: Key, body, headers: { [header]: value } });
      assert.deepEqual([put.status, put.headers.get(header)], [200, value], put.text);
      const asking = await raw(target, {
        method: 'HEAD',
        key: Key,
        headers: { 'x-amz-checksum-mode': 'ENABLED' },
      });
      assert.deepEqual(
        [asking.headers.get(header), asking.headers.get('x-amz-checksum-type')],
        [value, 'FULL_OBJECT'],
      );
      const silent = await raw(target, { method: 'HEAD', key: Key });
      assert.equal(silent.headers.get(header), null);
      const headers = { 'x-amz-checksum-mode': 'ENABLED', range: 'bytes=0-3' };
      const part = await raw(target, { method: 'GET', key: Key, headers });
      assert.deepEqual([part.status, part.headers.get(header)], [206, null]);
    });

    check(
      target,
      'checksums',
      `a wrong ${algorithm} is BadDigest, a malformed one InvalidRequest`,
      async () => {
        const key = freshKey(target);
        const right = Buffer.from(KNOWN[algorithm], 'base64');
        const wrong = Buffer.from(right.map((byte) => byte ^ 0xff)).toString('base64');
        assertRefusal(
          await raw(target, { method: 'PUT', key, body, headers: { [header]: wrong } }),
          'BadDigest',
          400,
        );
        const short = right.subarray(1).toString('base64');
        assertRefusal(
          await raw(target, { method: 'PUT', key, body, headers: { [header]: short } }),
          'InvalidRequest',
          400,
        );
        await refused(client.send(new HeadObjectCommand({ Bucket, Key: key })), 'NotFound', 404);
      },
    );

    check(
      target,
      'checksums',
      `the SDK's own ${algorithm} is taken, and verified by it on the way back`,
      async () => {
        const Key = freshKey(target);
        const Body = Buffer.alloc(300_001, algorithm);
        await client.send(new PutObjectCommand({ Bucket, Key, Body, ChecksumAlgorithm: algorithm }));
        const got = await client.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
        assert.equal(got[`Checksum${algorithm}`]?.endsWith('='), true);
        assert.deepEqual(Buffer.from((await got.Body?.transformToByteArray()) ?? []), Body);
      },
    );
  }

  check(target, 'checksums', 'two checksums, or one announced and not sent, are InvalidRequest', async () => {
    const key = freshKey(target);
    const both = { 'x-amz-checksum-crc32': KNOWN.CRC32, 'x-amz-checksum-sha256': KNOWN.SHA256 };
    assertRefusal(await raw(target, { method: 'PUT', key, body, headers: both }), 'InvalidRequest', 400);
    const announced = { 'x-amz-sdk-checksum-algorithm': 'SHA256' };
    assertRefusal(await raw(target, { method: 'PUT', key, body, headers: announced }), 'InvalidRequest', 400);
    const other = { ...announced, 'x-amz-checksum-crc32': KNOWN.CRC32 };
    assertRefusal(await raw(target, { method: 'PUT', key, body, headers: other }), 'InvalidRequest', 400);
    const unknown = { 'x-amz-sdk-checksum-algorithm': 'ADLER' };
    assertRefusal(await raw(target, { method: 'PUT', key, body, headers: unknown }), 'InvalidRequest', 400);
  });
}
