/** The whole contract, for one target; and the sweeping up after it. */
import { after, describe } from 'node:test';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import { archiveContract } from './archive.ts';
import { bucketContract } from './buckets.ts';
import { compositeChecksumContract } from './composite-checksums.ts';
import { conditionContract } from './conditions.ts';
import { deleteObjectsContract } from './delete-objects.ts';
import { fullObjectChecksumContract } from './full-object-checksums.ts';
import { integrityContract } from './integrity.ts';
import { lifecycleContract } from './lifecycle.ts';
import { listingContract } from './listing.ts';
import { multipartContract } from './multipart.ts';
import { multipartListingContract } from './multipart-listing.ts';
import { objectAttributesContract } from './object-attributes.ts';
import { objectLockContract } from './object-lock.ts';
import { objectContract } from './objects.ts';
import { rangeContract } from './ranges.ts';
import { signatureContract } from './signature.ts';
import type { Target } from './target.ts';
import { trailerContract } from './trailers.ts';
import { versionContract } from './versions.ts';

/** More pages than the tests can leave; a server that does not remove what it says it removed ends here. */
const MAX_PAGES = 20;

/** Removes what the tests left under the target's prefix, page by page. @throws when something stays */
async function sweep(target: Target): Promise<void> {
  const { client, bucket: Bucket, prefix: Prefix } = target;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }));
    for (const { Key, UploadId } of Uploads) {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
    const listing = new ListObjectsV2Command({ Bucket, Prefix, EncodingType: 'url' });
    const { Contents = [], EncodingType } = await client.send(listing);
    for (const { Key: listed = '' } of Contents) {
      // A server that does not know the encoding says so by silence.
      const Key = EncodingType === 'url' ? decodeURIComponent(listed.replaceAll('+', ' ')) : listed;
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
    }
    if (Uploads.length === 0 && Contents.length === 0) {
      return;
    }
  }
  throw new Error(`${target.name} still holds objects or uploads under '${Prefix}'`);
}

/**
 * Defines every test of the contract for a target, under its name.
 * @param end stops what was started for the target; it runs after all tests, failed or not
 */
export function contract(target: Target, end: () => Promise<void>): void {
  describe(`S3 contract: ${target.name}`, { concurrency: false }, () => {
    describe('buckets', () => bucketContract(target));
    describe('objects', () => objectContract(target));
    describe('ranges', () => rangeContract(target));
    describe('many deletes', () => deleteObjectsContract(target));
    describe('conditions', () => conditionContract(target));
    describe('integrity', () => integrityContract(target));
    describe('trailers', () => trailerContract(target));
    describe('signature', () => signatureContract(target));
    describe('multipart', () => multipartContract(target));
    describe('composite checksums', () => compositeChecksumContract(target));
    describe('multipart listing', () => multipartListingContract(target));
    describe('object attributes', () => objectAttributesContract(target));
    describe('full object checksums', () => fullObjectChecksumContract(target));
    describe('listing', () => listingContract(target));
    describe('lifecycle', () => lifecycleContract(target));
    describe('versions', () => versionContract(target));
    describe('object lock', () => objectLockContract(target));
    describe('archive', () => archiveContract(target));
    after(async () => {
      console.log(target.outcomes.summary(target.name));
      try {
        await sweep(target);
      } finally {
        target.client.destroy();
        await end();
      }
    });
  });
}
