/** Small objects: manifests, pointers, texts. Listing and looking at objects. */
import type { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { ToolError } from '../core/errors.ts';
import type { Bucket, WriteOptions } from './s3-client.ts';
import { explainS3Error } from './s3-errors.ts';

/** A document and the ETag under which it was read. */
export interface Document {
  readonly text: string;
  readonly etag: string;
}

/**
 * Reads a document; undefined when there is none.
 * @throws ToolError when it is larger than `maxBytes` or cannot be read.
 */
export async function readDocument(
  bucket: Bucket,
  key: string,
  maxBytes: number,
): Promise<Document | undefined> {
  try {
    const response = await bucket.client.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
    if ((response.ContentLength ?? 0) > maxBytes) {
      // A body that is not read keeps its connection, and there are only so many.
      (response.Body as Readable | undefined)?.destroy();
      throw new ToolError(`${key} has ${response.ContentLength} bytes; at most ${maxBytes} are read`, {
        kind: 'damage',
      });
    }
    return { text: (await response.Body?.transformToString()) ?? '', etag: response.ETag ?? '' };
  } catch (error) {
    if (hasName(error, 'NoSuchKey')) return undefined;
    throw explainS3Error(error, { ...place(bucket), what: `read ${key}` });
  }
}

/** When a document may be written: only where there is none, or only over what was read under an ETag. */
export type Precondition = { readonly absent: true } | { readonly etag: string };

/**
 * Writes a document under a precondition; false when the precondition does not hold.
 * A quoted `If-Match` is what S3 documents; Ceph's gateway answers 412 to it, but takes the bare value, as S3 does too.
 */
export async function writeDocument(
  bucket: Bucket,
  key: string,
  text: string,
  options: WriteOptions,
  precondition: Precondition,
): Promise<boolean> {
  const condition =
    'absent' in precondition ? { IfNoneMatch: '*' } : { IfMatch: precondition.etag.replaceAll('"', '') };
  try {
    const request = {
      Bucket: bucket.name,
      Key: key,
      Body: text,
      ContentType: 'application/json',
      ...options,
    };
    await bucket.client.send(new PutObjectCommand({ ...request, ...condition }));
    return true;
  } catch (error) {
    if (hasName(error, 'PreconditionFailed') || hasName(error, 'ConditionalRequestConflict')) return false;
    throw explainS3Error(error, { ...place(bucket), what: `write ${key}` });
  }
}

/** Writes a text for people, over whatever was there. */
export async function writeText(
  bucket: Bucket,
  key: string,
  text: string,
  options: WriteOptions,
): Promise<void> {
  const params = {
    Bucket: bucket.name,
    Key: key,
    Body: text,
    ContentType: 'text/plain; charset=utf-8',
    ...options,
  };
  try {
    await new Upload({ client: bucket.client, params }).done();
  } catch (error) {
    throw explainS3Error(error, { ...place(bucket), what: `write ${key}` });
  }
}

/** An object as the bucket describes it without sending it. */
export interface ObjectHead {
  readonly sizeBytes: number;
  readonly etag: string;
  /** Base64 SHA-256, with `-N` when it is composed of N parts; undefined where the server keeps none. */
  readonly sha256: string | undefined;
  readonly storageClass: string;
  /** True when it is in an archive class and there is no thawed copy. */
  readonly cold: boolean;
}

const archiveClasses: readonly string[] = ['GLACIER', 'DEEP_ARCHIVE'];

/** Looks at an object; undefined when there is none. */
export async function headObject(bucket: Bucket, key: string): Promise<ObjectHead | undefined> {
  try {
    const head = await bucket.client.send(
      new HeadObjectCommand({ Bucket: bucket.name, Key: key, ChecksumMode: 'ENABLED' }),
    );
    const storageClass = head.StorageClass ?? 'STANDARD';
    return {
      sizeBytes: head.ContentLength ?? 0,
      etag: head.ETag ?? '',
      sha256: head.ChecksumSHA256,
      storageClass,
      cold: archiveClasses.includes(storageClass) && !head.Restore?.includes('ongoing-request="false"'),
    };
  } catch (error) {
    if (hasName(error, 'NotFound') || hasName(error, 'NoSuchKey')) return undefined;
    throw explainS3Error(error, { ...place(bucket), what: `look at ${key}` });
  }
}

/** All keys under a prefix, in the order of their bytes. */
export async function listKeys(bucket: Bucket, prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  try {
    const pages = paginateListObjectsV2({ client: bucket.client }, { Bucket: bucket.name, Prefix: prefix });
    for await (const page of pages) keys.push(...(page.Contents ?? []).flatMap((object) => object.Key ?? []));
  } catch (error) {
    throw explainS3Error(error, { ...place(bucket), what: `list ${prefix}` });
  }
  return keys;
}

/**
 * Asks the server one cheap question, so that a wrong bucket or secret is found before anything is done.
 * @throws ToolError that says what is wrong.
 */
export async function checkAccess(bucket: Bucket): Promise<void> {
  try {
    const request = { Bucket: bucket.name, Prefix: `${bucket.prefix}/`, MaxKeys: 1 };
    await bucket.client.send(new ListObjectsV2Command(request));
  } catch (error) {
    throw explainS3Error(error, { ...place(bucket), what: 'use the bucket' });
  }
}

function hasName(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

function place(bucket: Bucket): { readonly bucket: string; readonly server: string } {
  return { bucket: bucket.name, server: bucket.server };
}
