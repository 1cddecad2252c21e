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

/** What S3 does, in sections, in the order in which they run. */
const sections = {
  buckets: bucketContract,
  objects: objectContract,
  ranges: rangeContract,
  'many deletes': deleteObjectsContract,
  conditions: conditionContract,
  integrity: integrityContract,
  trailers: trailerContract,
  signature: signatureContract,
  multipart: multipartContract,
  'composite checksums': compositeChecksumContract,
  'multipart listing': multipartListingContract,
  'object attributes': objectAttributesContract,
  'full object checksums': fullObjectChecksumContract,
  listing: listingContract,
  lifecycle: lifecycleContract,
  versions: versionContract,
  'object lock': objectLockContract,
  archive: archiveContract,
} as const;

/** A section of the contract. */
export type Section = keyof typeof sections;

/** The sections of a list with commas; undefined, which is all of them, where it is empty. @throws for one that there is not */
export function sectionsNamed(list = ''): readonly Section[] | undefined {
  if (list === '') return undefined;
  const isSection = (name: string): name is Section => Object.hasOwn(sections, name);
  return list.split(',').map((name) => {
    if (isSection(name)) return name;
    throw new Error(`S3_SECTIONS has '${name}', which is none of ${Object.keys(sections).join(', ')}`);
  });
}

/**
 * Defines every test of the contract for a target, or those of some sections, under its name.
 * @param end stops what was started for the target; it runs after all tests, failed or not
 */
export function contract(target: Target, end: () => Promise<void>, only?: readonly Section[]): void {
  describe(`S3 contract: ${target.name}`, { concurrency: false }, () => {
    for (const [section, define] of Object.entries(sections)) {
      if (only === undefined || only.includes(section as Section)) describe(section, () => define(target));
    }
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
