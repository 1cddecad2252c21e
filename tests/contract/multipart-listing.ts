/** The contract of what lists multipart uploads: ListParts and ListMultipartUploads. */
import assert from 'node:assert/strict';
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
} from '@aws-sdk/client-s3';
import { check, freshKey, type Target } from './target.ts';
import { uploader } from './uploads.ts';

/** Defines the tests of these listings. */
export function multipartListingContract(target: Target): void {
  const { client, bucket: Bucket } = target;
  const begin = uploader(target);

  check(target, 'list-parts', 'parts are listed page by page, with sizes and ETags', async () => {
    const { Key, UploadId, put } = await begin(undefined);
    const etags = new Map<number, string | undefined>();
    for (const number of [5, 3, 4, 1, 2]) {
      etags.set(number, (await put(number, 'x'.repeat(number))).ETag);
    }
    const seen: (readonly [number | undefined, number | undefined, string | undefined])[] = [];
    let marker: string | undefined;
    let pages = 0;
    do {
      const page = await client.send(
        new ListPartsCommand({
          Bucket,
          Key,
          UploadId,
          MaxParts: 2,
          ...(marker === undefined ? {} : { PartNumberMarker: marker }),
        }),
      );
      seen.push(...(page.Parts ?? []).map((part) => [part.PartNumber, part.Size, part.ETag] as const));
      marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
      pages += 1;
    } while (marker !== undefined);
    assert.equal(pages, 3);
    assert.deepEqual(
      seen,
      [1, 2, 3, 4, 5].map((number) => [number, number, etags.get(number)]),
    );
  });

  check(target, 'list-uploads', 'uploads are listed by prefix, page by page, until they end', async () => {
    const base = freshKey(target, '');
    const uploads = [];
    for (const name of ['a', 'b/1', 'b/2', 'c', 'c']) {
      uploads.push(await begin(undefined, {}, `${base}${name}`));
    }
    const seen: string[] = [];
    let next: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
    while (next !== undefined) {
      const page: Awaited<ReturnType<typeof list>> = await list({ MaxUploads: 2, ...next });
      seen.push(...(page.Uploads ?? []).map((each) => `${each.Key?.slice(base.length)} ${each.UploadId}`));
      next =
        page.IsTruncated === true
          ? { KeyMarker: page.NextKeyMarker ?? '', UploadIdMarker: page.NextUploadIdMarker ?? '' }
          : undefined;
    }
    const keyOnly = (each: string) => each.split(' ')[0];
    assert.deepEqual(seen.map(keyOnly), ['a', 'b/1', 'b/2', 'c', 'c']);
    assert.deepEqual(
      new Set(seen),
      new Set(uploads.map((each) => `${each.Key.slice(base.length)} ${each.UploadId}`)),
    );
    for (const { Key, UploadId } of uploads) {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
    assert.equal((await list({})).Uploads, undefined);

    async function list(more: { MaxUploads?: number; KeyMarker?: string; UploadIdMarker?: string }) {
      return await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: base, ...more }));
    }
  });

  check(target, 'upload-delimiter', 'a delimiter rolls uploads up', async () => {
    const base = freshKey(target, '');
    for (const name of ['a', 'b/1', 'b/2', 'c']) await begin(undefined, {}, `${base}${name}`);
    const page = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: base, Delimiter: '/' }));
    assert.deepEqual(
      [page.Uploads?.map((each) => each.Key), page.CommonPrefixes],
      [[`${base}a`, `${base}c`], [{ Prefix: `${base}b/` }]],
    );
  });
}
