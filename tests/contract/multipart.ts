/** The contract of multipart uploads, begin to end. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  type S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { assertRefusal, check, digest, freshKey, hexDigest, raw, refused, type Target } from './target.ts';
import { MIN_PART_BYTES, uploader } from './uploads.ts';

const BIG = Buffer.alloc(MIN_PART_BYTES, 'big part ');
const SMALL = Buffer.from('the last part may be small');

/** Defines the tests of multipart uploads. */
export function multipartContract(target: Target): void {
  const { client, bucket: Bucket } = target;
  const begin = uploader(target);

  check(target, undefined, 'parts in order become one object', async () => {
    const upload = await begin(undefined, { ContentType: 'text/x-parts', Metadata: { a: 'b' } });
    const { Key } = upload;
    const small = await upload.put(2, SMALL);
    const big = await upload.put(1, BIG);
    await refused(client.send(new HeadObjectCommand({ Bucket, Key })), 'NotFound', 404);
    const done = await upload.complete([big, small]);
    const got = await client.send(new GetObjectCommand({ Bucket, Key }));
    assert.deepEqual([done.Key, done.Bucket], [Key, Bucket]);
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    assert.equal(digest('sha256', bytes), digest('sha256', Buffer.concat([BIG, SMALL])));
    assert.deepEqual([got.ContentType, got.Metadata], ['text/x-parts', { a: 'b' }]);
    const Range = `bytes=${MIN_PART_BYTES - 4}-${MIN_PART_BYTES + 3}`;
    const across = await client.send(new GetObjectCommand({ Bucket, Key, Range }));
    assert.equal(await across.Body?.transformToString(), `${BIG.subarray(-4)}the `);
  });

  check(
    target,
    'part-etags',
    'the ETag of a part is its MD5, that of the object the MD5 of these',
    async () => {
      const upload = await begin(undefined);
      const parts = [await upload.put(1, BIG), await upload.put(2, SMALL)];
      assert.equal(parts[1]?.ETag, `"${hexDigest('md5', SMALL)}"`);
      await upload.complete(parts);
      const md5s = Buffer.concat([BIG, SMALL].map((body) => createHash('md5').update(body).digest()));
      const { ETag } = await client.send(new GetObjectCommand({ Bucket, Key: upload.Key }));
      assert.equal(ETag, `"${hexDigest('md5', md5s)}-2"`);
    },
  );

  check(target, 'complete-etag', 'completing an upload returns the ETag of the object', async () => {
    const upload = await begin(undefined);
    const { ETag } = await upload.complete([await upload.put(1, SMALL)]);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: upload.Key }));
    assert.deepEqual([ETag, /^"[0-9a-f]{32}-1"$/.test(ETag ?? '')], [head.ETag, true]);
  });

  check(target, 'storage-classes', 'the storage class of an upload is that of its creation', async () => {
    for (const StorageClass of ['STANDARD_IA', 'DEEP_ARCHIVE'] as const) {
      const upload = await begin(undefined, { StorageClass });
      await upload.complete([await upload.put(1, SMALL)]);
      const head = await client.send(new HeadObjectCommand({ Bucket, Key: upload.Key }));
      assert.equal(head.StorageClass, StorageClass);
    }
  });

  check(target, 'encryption', 'the encryption of an upload is that of its creation', async () => {
    const upload = await begin(undefined, { ServerSideEncryption: 'AES256' });
    await upload.complete([await upload.put(1, SMALL)]);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: upload.Key }));
    assert.equal(head.ServerSideEncryption, 'AES256');
  });

  check(target, 'unknown-storage-class', 'an upload of an unknown storage class is refused', async () => {
    const key = freshKey(target);
    const headers = { 'x-amz-storage-class': 'COLDISH' };
    const response = await raw(target, { method: 'POST', key, query: { uploads: '' }, headers });
    assert.equal(response.status, 400);
  });

  check(target, undefined, 'without checksums, part numbers may skip', async () => {
    const { Key } = await begin(undefined);
    const created = await raw(target, { method: 'POST', key: Key, query: { uploads: '' } });
    const UploadId = /<UploadId>([^<]+)</.exec(created.text)?.[1] ?? '';
    const Parts: CompletedPart[] = [];
    for (const [PartNumber, body] of [
      [7, BIG],
      [10_000, SMALL],
    ] as const) {
      const query = { uploadId: UploadId, partNumber: String(PartNumber) };
      const part = await raw(target, { method: 'PUT', key: Key, query, body });
      Parts.push({ PartNumber, ETag: part.headers.get('etag') ?? '' });
    }
    await client.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    );
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    assert.equal(head.ContentLength, BIG.length + SMALL.length);
  });

  check(target, undefined, 'an unknown part or a wrong ETag is InvalidPart', async () => {
    const upload = await begin(undefined);
    const part = await upload.put(1, SMALL);
    await refused(upload.complete([{ ...part, PartNumber: 2 }]), 'InvalidPart', 400);
    await refused(upload.complete([{ ...part, ETag: `"${hexDigest('md5', 'other')}"` }]), 'InvalidPart', 400);
  });

  check(target, 'part-order', 'parts out of order are InvalidPartOrder', async () => {
    const upload = await begin(undefined);
    const [first, second] = [await upload.put(1, BIG), await upload.put(2, BIG)];
    await refused(upload.complete([second, first]), 'InvalidPartOrder', 400);
  });

  check(target, 'part-order', 'a part that is listed twice is InvalidPartOrder', async () => {
    const upload = await begin(undefined);
    const first = await upload.put(1, BIG);
    await refused(upload.complete([first, first]), 'InvalidPartOrder', 400);
  });

  check(
    target,
    undefined,
    'a part below 5 MiB that is not the last is EntityTooSmall, and the upload stays',
    async () => {
      const upload = await begin(undefined);
      const parts = [await upload.put(1, BIG.subarray(1)), await upload.put(2, SMALL)];
      await refused(upload.complete(parts), 'EntityTooSmall', 400);
      const replaced = await upload.put(1, BIG);
      await upload.complete([replaced, ...parts.slice(1)]);
    },
  );

  for (const [feature, partNumber] of [
    ['part-number-limit', '10001'],
    ['part-number-zero', '0'],
    ['part-number-form', 'one'],
  ] as const) {
    check(target, feature, `part numbers go from 1 to 10000: ${partNumber} is refused`, async () => {
      const { Key, UploadId } = await begin(undefined);
      const query = { uploadId: UploadId, partNumber };
      assertRefusal(await raw(target, { method: 'PUT', key: Key, query, body: 'x' }), 'InvalidArgument', 400);
    });
  }

  for (const [feature, operation] of [
    ['unknown-upload-put', 'UploadPart'],
    ['unknown-upload-list', 'ListParts'],
    ['unknown-upload-abort', 'AbortMultipartUpload'],
    ['unknown-upload-complete', 'CompleteMultipartUpload'],
  ] as const) {
    check(
      target,
      feature,
      `${operation} of an unknown upload, or another key's, is NoSuchUpload`,
      async () => {
        const upload = await begin(undefined);
        const part = await upload.put(1, SMALL);
        for (const ids of [
          { Bucket, Key: upload.Key, UploadId: `${upload.UploadId}x` },
          { Bucket, Key: `${upload.Key}x`, UploadId: upload.UploadId },
        ]) {
          const MultipartUpload = { Parts: [part] };
          const calls = {
            UploadPart: () => client.send(new UploadPartCommand({ ...ids, PartNumber: 1, Body: 'x' })),
            ListParts: () => client.send(new ListPartsCommand(ids)),
            AbortMultipartUpload: () => client.send(new AbortMultipartUploadCommand(ids)),
            CompleteMultipartUpload: () =>
              client.send(new CompleteMultipartUploadCommand({ ...ids, MultipartUpload })),
          };
          await refused(calls[operation](), 'NoSuchUpload', 404);
        }
      },
    );
  }

  check(target, 'malformed-xml', 'a list of no parts, or what is no list, is MalformedXML', async () => {
    const { Key, UploadId } = await begin(undefined);
    const query = { uploadId: UploadId };
    for (const body of [
      '<CompleteMultipartUpload/>',
      '<CompleteMultipartUpload><Part>',
      'nonsense',
      '<Other></Other>',
    ]) {
      assertRefusal(await raw(target, { method: 'POST', key: Key, query, body }), 'MalformedXML', 400);
    }
  });

  check(target, undefined, 'a part put again replaces the first', async () => {
    const upload = await begin(undefined);
    await upload.put(1, 'first try');
    const second = await upload.put(1, 'second try');
    await upload.complete([second]);
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: upload.Key }));
    assert.equal(await Body?.transformToString(), 'second try');
  });

  check(target, 'unlisted-parts', 'parts that are not listed are left out', async () => {
    const upload = await begin(undefined);
    const first = await upload.put(1, 'taken');
    await upload.put(2, 'left out');
    await upload.complete([first]);
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: upload.Key }));
    assert.equal(await Body?.transformToString(), 'taken');
  });

  check(target, 'content-md5', 'a damaged part is refused and not stored', async () => {
    const { Key, UploadId } = await begin(undefined);
    const query = { uploadId: UploadId, partNumber: '1' };
    const headers = { 'content-md5': digest('md5', 'other') };
    assertRefusal(
      await raw(target, { method: 'PUT', key: Key, query, body: SMALL, headers }),
      'BadDigest',
      400,
    );
    const { Parts } = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    assert.equal(Parts, undefined);
  });

  check(
    target,
    'repeated-completion',
    'completing again, as a client does that lost the answer, succeeds',
    async () => {
      const upload = await begin('SHA256');
      const parts = [await upload.put(1, SMALL)];
      const first = await upload.complete(parts);
      const head = await client.send(new HeadObjectCommand({ Bucket, Key: upload.Key }));
      for (const more of [{}, { IfNoneMatch: '*' }]) {
        const again = await upload.complete(parts, more);
        const etag = again.ETag?.replaceAll('"', '');
        assert.deepEqual([`"${etag}"`, again.ChecksumSHA256], [head.ETag, first.ChecksumSHA256]);
      }
    },
  );

  check(
    target,
    'repeated-completion-parts',
    'completing again with other parts is NoSuchUpload',
    async () => {
      const upload = await begin('SHA256');
      const part = await upload.put(1, SMALL);
      await upload.complete([part]);
      await refused(upload.complete([{ ...part, PartNumber: 2 }]), 'NoSuchUpload', 404);
    },
  );

  check(target, 'unknown-upload-put', 'a part of a completed upload is NoSuchUpload', async () => {
    const upload = await begin('SHA256');
    await upload.complete([await upload.put(1, SMALL)]);
    await refused(upload.put(2, SMALL), 'NoSuchUpload', 404);
  });

  check(target, undefined, 'completing again brings nothing back that was removed since', async () => {
    const upload = await begin('SHA256');
    const parts = [await upload.put(1, SMALL)];
    await upload.complete(parts);
    await client.send(new DeleteObjectCommand({ Bucket, Key: upload.Key }));
    await Promise.allSettled([upload.complete(parts)]);
    await refused(client.send(new HeadObjectCommand({ Bucket, Key: upload.Key })), 'NotFound', 404);
  });

  check(target, undefined, 'an aborted upload is gone, and its object never was', async () => {
    const { Key, UploadId, put } = await begin(undefined);
    await put(1, SMALL);
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    const listing = client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    await assert.rejects(listing, (error) => (error as S3ServiceException).$metadata.httpStatusCode === 404);
    await refused(client.send(new HeadObjectCommand({ Bucket, Key })), 'NotFound', 404);
  });

  check(target, 'error-codes', 'the refusal to list an aborted upload is NoSuchUpload', async () => {
    const { Key, UploadId, put } = await begin(undefined);
    await put(1, SMALL);
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    await refused(client.send(new ListPartsCommand({ Bucket, Key, UploadId })), 'NoSuchUpload', 404);
  });
}
