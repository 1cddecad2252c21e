/** The contract of GetObjectAttributes, and of reading one part of an object by its number. */
import assert from 'node:assert/strict';
import {
  GetObjectAttributesCommand,
  type GetObjectAttributesCommandInput,
  GetObjectCommand,
  HeadObjectCommand,
  ObjectAttributes,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { assertRefusal, check, digest, freshKey, hexDigest, raw, refused, type Target } from './target.ts';
import { MIN_PART_BYTES, uploader } from './uploads.ts';

const BIG = Buffer.alloc(MIN_PART_BYTES, 'first ');
const SMALL = Buffer.from('second');

/** Defines the tests of these. */
export function objectAttributesContract(target: Target): void {
  const { client, bucket: Bucket } = target;
  const begin = uploader(target);

  async function attributes(Key: string, more: Partial<GetObjectAttributesCommandInput> = {}) {
    const all = Object.values(ObjectAttributes);
    return await client.send(new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes: all, ...more }));
  }

  async function uploadTwo(algorithm: 'SHA256' | undefined): Promise<string> {
    const upload = await begin(algorithm);
    await upload.complete([await upload.put(1, BIG), await upload.put(2, SMALL)]);
    return upload.Key;
  }

  check(target, 'object-attributes', 'the attributes of an object that was put whole', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: SMALL, ChecksumAlgorithm: 'SHA256' }));
    const got = await attributes(Key);
    assert.deepEqual([got.ETag, got.ObjectSize], [hexDigest('md5', SMALL), SMALL.length]);
    assert.deepEqual(
      [got.Checksum?.ChecksumSHA256, got.Checksum?.ChecksumType],
      [digest('sha256', SMALL), 'FULL_OBJECT'],
    );
    assert.deepEqual([got.StorageClass, got.ObjectParts], ['STANDARD', undefined]);
    const { LastModified } = await client.send(new HeadObjectCommand({ Bucket, Key }));
    assert.deepEqual(got.LastModified, LastModified);
  });

  check(target, 'object-attributes', 'only what is asked for is reported', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: SMALL, StorageClass: 'DEEP_ARCHIVE' }));
    const { $metadata, LastModified, ...some } = await attributes(Key, {
      ObjectAttributes: ['ObjectSize', 'StorageClass'],
    });
    assert.deepEqual(some, { ObjectSize: SMALL.length, StorageClass: 'DEEP_ARCHIVE' });
  });

  check(
    target,
    'object-attributes',
    'the parts of a composite object, with sizes and checksums',
    async () => {
      const Key = await uploadTwo('SHA256');
      const got = await attributes(Key);
      const { ChecksumSHA256, ETag = '' } = await client.send(
        new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }),
      );
      assert.equal(`"${got.ETag}"`, ETag);
      assert.deepEqual(
        [`${got.Checksum?.ChecksumSHA256}-2`, got.Checksum?.ChecksumType],
        [ChecksumSHA256, 'COMPOSITE'],
      );
      assert.deepEqual(
        [got.ObjectParts?.TotalPartsCount, got.ObjectParts?.IsTruncated, got.ObjectParts?.MaxParts],
        [2, false, 1000],
      );
      assert.deepEqual(
        got.ObjectParts?.Parts?.map((part) => [part.PartNumber, part.Size, part.ChecksumSHA256]),
        [
          [1, BIG.length, digest('sha256', BIG)],
          [2, SMALL.length, digest('sha256', SMALL)],
        ],
      );
    },
  );

  check(target, 'object-attributes', 'the parts come page by page', async () => {
    const Key = await uploadTwo('SHA256');
    const first = await attributes(Key, { MaxParts: 1 });
    assert.deepEqual(
      [first.ObjectParts?.IsTruncated, first.ObjectParts?.NextPartNumberMarker, first.ObjectParts?.MaxParts],
      [true, '1', 1],
    );
    const second = await attributes(Key, { MaxParts: 1, PartNumberMarker: '1' });
    assert.deepEqual(
      [
        second.ObjectParts?.IsTruncated,
        second.ObjectParts?.PartNumberMarker,
        second.ObjectParts?.TotalPartsCount,
      ],
      [false, '1', 2],
    );
    assert.deepEqual(
      [...(first.ObjectParts?.Parts ?? []), ...(second.ObjectParts?.Parts ?? [])].map(
        (each) => each.PartNumber,
      ),
      [1, 2],
    );
  });

  check(
    target,
    'object-attributes',
    'without checksums of its parts an object only counts them',
    async () => {
      const { ObjectParts } = await attributes(await uploadTwo(undefined));
      assert.deepEqual([ObjectParts?.TotalPartsCount, ObjectParts?.Parts], [2, undefined]);
    },
  );

  check(target, 'object-attributes', 'a wrong question, or one about nothing, is refused', async () => {
    const key = freshKey(target);
    await refused(attributes(key), 'NoSuchKey', 404);
    await client.send(new PutObjectCommand({ Bucket, Key: key, Body: SMALL }));
    const ask = (headers: Record<string, string>) =>
      raw(target, { method: 'GET', key, query: { attributes: '' }, headers });
    assertRefusal(await ask({}), 'InvalidRequest', 400);
    assertRefusal(await ask({ 'x-amz-object-attributes': 'ETag,Colour' }), 'InvalidArgument', 400);
  });

  check(target, 'part-numbers', 'a part is read by its number', async () => {
    const Key = await uploadTwo(undefined);
    const whole = BIG.length + SMALL.length;
    const PartNumber = 2;
    const got = await client.send(new GetObjectCommand({ Bucket, Key, PartNumber }));
    // Not the text, which is 5 MiB where the number is passed over.
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    assert.deepEqual([bytes.length, bytes.equals(SMALL)], [SMALL.length, true]);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key, PartNumber }));
    for (const answer of [got, head]) {
      assert.deepEqual(
        [answer.$metadata.httpStatusCode, answer.PartsCount, answer.ContentLength, answer.ContentRange],
        [206, 2, SMALL.length, `bytes ${BIG.length}-${whole - 1}/${whole}`],
      );
    }
  });

  check(target, 'checksums', 'a part that is read by its number has its own checksum', async () => {
    const Key = await uploadTwo('SHA256');
    const input = { Bucket, Key, PartNumber: 2, ChecksumMode: 'ENABLED' } as const;
    const got = await client.send(new GetObjectCommand(input));
    await got.Body?.transformToByteArray();
    const head = await client.send(new HeadObjectCommand(input));
    for (const answer of [got, head]) {
      assert.deepEqual([answer.ChecksumSHA256, answer.ChecksumType], [digest('sha256', SMALL), 'COMPOSITE']);
    }
  });

  check(target, 'part-numbers', 'an object that was put whole is its own first part', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: SMALL }));
    const got = await client.send(new GetObjectCommand({ Bucket, Key, PartNumber: 1 }));
    assert.equal(await got.Body?.transformToString(), SMALL.toString());
    assert.deepEqual([got.ContentRange, got.PartsCount], [`bytes 0-5/6`, undefined]);
  });

  check(target, 'part-numbers', 'a part that is not there, or beside a range, is refused', async () => {
    const Key = await uploadTwo(undefined);
    const get = (more: object) => client.send(new GetObjectCommand({ Bucket, Key, ...more }));
    await refused(get({ PartNumber: 3 }), 'InvalidPartNumber', 416);
    await refused(get({ PartNumber: 0 }), 'InvalidArgument', 400);
    await refused(get({ PartNumber: 1, Range: 'bytes=0-1' }), 'InvalidRequest', 400);
  });
}
