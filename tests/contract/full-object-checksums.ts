/** The contract of multipart uploads whose checksum covers the whole object, whatever its parts. */
import assert from 'node:assert/strict';
import {
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { assertRefusal, check, freshKey, raw, refused, type Target } from './target.ts';
import { MIN_PART_BYTES, uploader } from './uploads.ts';

const BIG = Buffer.alloc(MIN_PART_BYTES, 'a part that is large enough ');
const SMALL = Buffer.from('a part that ends the object');
const WHOLE = Buffer.concat([BIG, SMALL]);

/** Defines the tests of these checksums. */
export function fullObjectChecksumContract(target: Target): void {
  const { client, bucket: Bucket } = target;
  const begin = uploader(target);
  const FULL = { ChecksumType: 'FULL_OBJECT' } as const;

  /** The checksum of the same bytes put in one piece, which the tests of integrity hold against known values. */
  async function expected(ChecksumAlgorithm: 'CRC32' | 'CRC32C' | 'CRC64NVME'): Promise<string> {
    const put = await client.send(
      new PutObjectCommand({ Bucket, Key: freshKey(target), Body: WHOLE, ChecksumAlgorithm }),
    );
    return put[`Checksum${ChecksumAlgorithm}`] ?? '';
  }

  for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
    check(
      target,
      'full-object-checksums',
      `${algorithm} of the parts is ${algorithm} of the object`,
      async () => {
        const value = await expected(algorithm);
        const upload = await begin(algorithm, FULL);
        const { Key, UploadId } = upload;
        const parts = [await upload.put(1, BIG), await upload.put(2, SMALL)];
        const listed = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
        assert.deepEqual([listed.ChecksumAlgorithm, listed.ChecksumType], [algorithm, 'FULL_OBJECT']);
        const done = await upload.complete(parts, FULL);
        const head = await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
        const { Checksum } = await client.send(
          new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes: ['Checksum'] }),
        );
        for (const answer of [done, head, Checksum]) {
          assert.deepEqual([answer?.[`Checksum${algorithm}`], answer?.ChecksumType], [value, 'FULL_OBJECT']);
        }
        // The SDK verifies the bytes against it on its own.
        const got = await client.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
        const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
        assert.equal(Buffer.compare(bytes, WHOLE), 0);
      },
    );
  }

  check(target, 'full-object-checksums', 'CRC64NVME is of the full object without being asked', async () => {
    const upload = await begin('CRC64NVME');
    const done = await upload.complete([await upload.put(1, BIG), await upload.put(2, SMALL)]);
    assert.deepEqual(
      [done.ChecksumCRC64NVME, done.ChecksumType],
      [await expected('CRC64NVME'), 'FULL_OBJECT'],
    );
  });

  check(target, 'full-object-checksums', 'a part may come without a checksum, and gets its own', async () => {
    const { Key, UploadId, complete } = await begin('CRC32', FULL);
    const query = { uploadId: UploadId, partNumber: '1' };
    const part = await raw(target, { method: 'PUT', key: Key, query, body: '123456789' });
    const known = Buffer.from('cbf43926', 'hex').toString('base64');
    assert.deepEqual([part.status, part.headers.get('x-amz-checksum-crc32')], [200, known], part.text);
    const headers = { 'x-amz-checksum-crc32c': Buffer.from('e3069283', 'hex').toString('base64') };
    const other = await raw(target, { method: 'PUT', key: Key, query, body: '123456789', headers });
    assertRefusal(other, 'InvalidRequest', 400);
    const done = await complete([{ PartNumber: 1, ETag: part.headers.get('etag') ?? '' }]);
    assert.equal(done.ChecksumCRC32, known);
  });

  check(
    target,
    'full-object-checksums',
    'completing need not repeat the checksums of parts, but must not misstate them',
    async () => {
      const upload = await begin('CRC32', FULL);
      const { PartNumber, ETag } = await upload.put(1, SMALL);
      await refused(upload.complete([{ PartNumber, ETag, ChecksumCRC32: 'AAAAAA==' }]), 'InvalidPart', 400);
      const done = await upload.complete([{ PartNumber, ETag }]);
      assert.equal(done.ChecksumType, 'FULL_OBJECT');
    },
  );

  check(
    target,
    'full-object-checksums',
    'a claimed checksum of the object is verified, and the upload stays when it is wrong',
    async () => {
      const value = await expected('CRC32C');
      const upload = await begin('CRC32C', FULL);
      const parts = [await upload.put(1, BIG), await upload.put(2, SMALL)];
      const wrong = { ...FULL, ChecksumCRC32C: 'AAAAAA==' };
      await refused(upload.complete(parts, wrong), 'BadDigest', 400);
      const asComposite = { ChecksumType: 'COMPOSITE', ChecksumCRC32C: value } as const;
      await refused(upload.complete(parts, asComposite), 'InvalidRequest', 400);
      await refused(client.send(new HeadObjectCommand({ Bucket, Key: upload.Key })), 'NotFound', 404);
      const done = await upload.complete(parts, { ...FULL, ChecksumCRC32C: value });
      assert.equal(done.ChecksumCRC32C, value);
    },
  );

  check(target, 'full-object-checksums', 'no SHA covers an object, and no CRC64NVME its parts', async () => {
    for (const [algorithm, type] of [
      ['SHA256', 'FULL_OBJECT'],
      ['SHA1', 'FULL_OBJECT'],
      ['CRC64NVME', 'COMPOSITE'],
    ] as const) {
      const headers = { 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-type': type };
      const key = freshKey(target);
      const response = await raw(target, { method: 'POST', key, query: { uploads: '' }, headers });
      assertRefusal(response, 'InvalidRequest', 400);
    }
  });
}
