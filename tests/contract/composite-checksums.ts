/** The contract of multipart uploads whose checksum is composed of those of their parts. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  HeadObjectCommand,
  ListPartsCommand,
} from '@aws-sdk/client-s3';
import { assertRefusal, check, digest, freshKey, raw, refused, type Target } from './target.ts';
import { MIN_PART_BYTES, uploader } from './uploads.ts';

const BIG = Buffer.alloc(MIN_PART_BYTES, 'big part ');
const SMALL = Buffer.from('the last part may be small');

function sha256Composite(...bodies: readonly Buffer[]): string {
  const digests = bodies.map((body) => createHash('sha256').update(body).digest());
  return `${createHash('sha256').update(Buffer.concat(digests)).digest('base64')}-${bodies.length}`;
}

/** Defines the tests of these checksums. */
export function compositeChecksumContract(target: Target): void {
  const { client, bucket: Bucket } = target;
  const begin = uploader(target);

  check(
    target,
    'checksums',
    'a SHA256 upload tells each part its checksum, and the object its composite',
    async () => {
      const upload = await begin('SHA256');
      const parts = [await upload.put(1, BIG), await upload.put(2, SMALL)];
      assert.deepEqual(
        parts.map((part) => part.ChecksumSHA256),
        [digest('sha256', BIG), digest('sha256', SMALL)],
      );
      const listed = await client.send(
        new ListPartsCommand({ Bucket, Key: upload.Key, UploadId: upload.UploadId }),
      );
      assert.deepEqual(
        listed.Parts?.map((part) => part.ChecksumSHA256),
        [digest('sha256', BIG), digest('sha256', SMALL)],
      );
      assert.deepEqual([listed.ChecksumAlgorithm, listed.ChecksumType], ['SHA256', 'COMPOSITE']);
      const done = await upload.complete(parts);
      const head = await client.send(
        new HeadObjectCommand({ Bucket, Key: upload.Key, ChecksumMode: 'ENABLED' }),
      );
      for (const answer of [done, head]) {
        assert.deepEqual(
          [answer.ChecksumSHA256, answer.ChecksumType],
          [sha256Composite(BIG, SMALL), 'COMPOSITE'],
        );
      }
    },
  );

  check(target, 'checksums', 'one part makes a composite of one, and CRC32 has composites too', async () => {
    const single = await begin('SHA256');
    const done = await single.complete([await single.put(1, SMALL)]);
    assert.equal(done.ChecksumSHA256, sha256Composite(SMALL));
    const crc = await begin('CRC32');
    const crcDone = await crc.complete([await crc.put(1, SMALL)]);
    assert.match(crcDone.ChecksumCRC32 ?? '', /^[A-Za-z0-9+/]{6}==-1$/);
  });

  check(target, 'checksums', "a part has to bring a checksum of its upload's algorithm", async () => {
    const { Key, UploadId } = await begin('SHA256');
    const query = { uploadId: UploadId, partNumber: '1' };
    const none = await raw(target, { method: 'PUT', key: Key, query, body: SMALL });
    assertRefusal(none, 'InvalidRequest', 400);
    assert.match(none.text, /expected checksum Type: sha256, actual checksum Type: null/);
    const headers = { 'x-amz-checksum-sha1': digest('sha1', SMALL) };
    const other = await raw(target, { method: 'PUT', key: Key, query, body: SMALL, headers });
    assertRefusal(other, 'InvalidRequest', 400);
    assert.match(other.text, /expected checksum Type: sha256, actual checksum Type: sha1/);
  });

  check(target, 'checksums', "completing has to repeat each part's checksum, and rightly", async () => {
    const upload = await begin('SHA256');
    const { PartNumber, ETag, ChecksumSHA256 } = await upload.put(1, SMALL);
    await refused(upload.complete([{ PartNumber, ETag }]), 'InvalidRequest', 400);
    const wrong = { PartNumber, ETag, ChecksumSHA256: digest('sha256', 'other') };
    await refused(upload.complete([wrong]), 'InvalidPart', 400);
    await refused(
      upload.complete([{ PartNumber, ETag, ChecksumSHA1: digest('sha1', SMALL) }]),
      'BadDigest',
      400,
    );
    await upload.complete([{ PartNumber, ETag, ChecksumSHA256 }]);
  });

  check(
    target,
    'checksums',
    'an upload without an algorithm does not know the checksums of its parts',
    async () => {
      const upload = await begin(undefined);
      const created = await raw(target, { method: 'POST', key: upload.Key, query: { uploads: '' } });
      const UploadId = /<UploadId>([^<]+)</.exec(created.text)?.[1] ?? '';
      const query = { uploadId: UploadId, partNumber: '1' };
      const part = await raw(target, { method: 'PUT', key: upload.Key, query, body: SMALL });
      const Part = { PartNumber: 1, ETag: part.headers.get('etag') ?? '' };
      const complete = (more: Partial<CompletedPart>) =>
        client.send(
          new CompleteMultipartUploadCommand({
            Bucket,
            Key: upload.Key,
            UploadId,
            MultipartUpload: { Parts: [{ ...Part, ...more }] },
          }),
        );
      await refused(complete({ ChecksumSHA256: digest('sha256', SMALL) }), 'InvalidPart', 400);
      const done = await complete({});
      assert.equal(done.ChecksumSHA256, undefined);
    },
  );

  check(
    target,
    'checksums',
    'a claimed composite, type or size of the whole that is wrong is refused',
    async () => {
      const upload = await begin('SHA256');
      const part = await upload.put(1, SMALL);
      const complete = (more: object) =>
        client.send(
          new CompleteMultipartUploadCommand({
            Bucket,
            Key: upload.Key,
            UploadId: upload.UploadId,
            MultipartUpload: { Parts: [part] },
            ...more,
          }),
        );
      await refused(complete({ ChecksumSHA256: `${digest('sha256', SMALL)}-1` }), 'BadDigest', 400);
      await refused(complete({ ChecksumType: 'FULL_OBJECT' }), 'InvalidRequest', 400);
      await refused(complete({ MpuObjectSize: 1 }), 'InvalidRequest', 400);
      await complete({
        ChecksumSHA256: sha256Composite(SMALL),
        ChecksumType: 'COMPOSITE',
        MpuObjectSize: SMALL.length,
      });
    },
  );

  check(
    target,
    'checksums',
    'checksum algorithms and types that do not go together are refused',
    async () => {
      const key = freshKey(target);
      for (const headers of [
        { 'x-amz-checksum-algorithm': 'SHA256', 'x-amz-checksum-type': 'FULL_OBJECT' },
        { 'x-amz-checksum-algorithm': 'ADLER' },
        { 'x-amz-checksum-algorithm': 'SHA256', 'x-amz-checksum-type': 'PARTIAL' },
        { 'x-amz-checksum-type': 'COMPOSITE' },
      ]) {
        const response = await raw(target, {
          method: 'POST',
          key,
          query: { uploads: '' },
          headers: { ...headers },
        });
        assertRefusal(response, 'InvalidRequest', 400);
      }
    },
  );

  check(
    target,
    'checksums',
    'with checksums, part numbers that skip one are an internal error, as documented',
    async () => {
      const upload = await begin('SHA256');
      const parts = [await upload.put(1, BIG), await upload.put(3, SMALL)];
      await refused(upload.complete(parts), 'InternalError', 500);
    },
  );
}
