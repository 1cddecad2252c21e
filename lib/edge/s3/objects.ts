/** Objects from outside: which there are, and what the bucket says of them without sending them. */
import type { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  type _Object as S3Object,
} from '@aws-sdk/client-s3';
import type { ListedObject as DatedObject } from '../../core/format/inventory.ts';
import {
  archiveOf,
  parseRestoreHeader,
  type ThawState,
  type ToldThaw,
  thawStateOf,
} from '../../core/thaw/archive-classes.ts';
import { pagesOf } from './requests/pages.ts';
import { attempt, send, sendOnce } from './requests/send.ts';
import type { Bucket } from './s3-client.ts';
import { isDenied, isNamed, statusOf } from './s3-errors.ts';

/** An object that was stored whole; `checksum` is the server's own, where it keeps one. */
export interface StoredObject {
  readonly etag: string;
  readonly checksum: string | undefined;
}

/** An object as the bucket describes it without sending it. */
export interface ObjectHead {
  readonly sizeBytes: number;
  readonly etag: string;
  /** Base64 SHA-256, with `-N` when it is composed of N parts; undefined where the server keeps none. */
  readonly sha256: string | undefined;
  readonly storageClass: string;
  /** Whether it can be read, or has to be thawed first. */
  readonly thaw: ThawState;
}

/** Looks at an object; undefined when there is none. */
export async function headObject(bucket: Bucket, key: string): Promise<ObjectHead | undefined> {
  return attempt(bucket, `look at ${key}`, () => headOnce(bucket, key));
}

/** Looks at an object with a single request, and lets its error through as it is: for use within a request that is repeated. */
export function headOnce(bucket: Bucket, key: string): Promise<ObjectHead | undefined> {
  return look(bucket, key, { isFirst: true });
}

/** The first time, a refusal that the next request does not share is not believed: the object was stored between the two. */
async function look(
  bucket: Bucket,
  key: string,
  { isFirst }: { readonly isFirst: boolean },
): Promise<ObjectHead | undefined> {
  const before = bucket.habits.checksums;
  try {
    const request = { Bucket: bucket.name, Key: key, ChecksumMode: 'ENABLED' as const };
    const head = await sendOnce(bucket, new HeadObjectCommand(request));
    const storageClass = head.StorageClass ?? 'STANDARD';
    return {
      sizeBytes: head.ContentLength ?? 0,
      etag: head.ETag ?? '',
      sha256: head.ChecksumSHA256,
      storageClass,
      thaw: thawStateOf(archiveOf(storageClass, head.ArchiveStatus), parseRestoreHeader(head.Restore)),
    };
  } catch (error) {
    const reason = await reasonOfRefusal(bucket, key, error);
    // It was refused for the checksum that it asked for, which GET has found out.
    if (bucket.habits.checksums !== before) return headOnce(bucket, key);
    const again = () => look(bucket, key, { isFirst: false });
    if (isFirst && reason === error && [403, 404].includes(statusOf(error))) return again();
    if (isNamed(reason, 'NoSuchKey')) return undefined;
    if (!isDenied(reason)) throw reason;
    if (await isUnlisted(bucket, key)) return undefined;
    if (isFirst) return again();
    throw reason;
  }
}

/**
 * True when a key that may not be read is not there at all: credentials that may list only below a prefix get 403, not 404, for what
 * is missing (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html). A single request, as `headOnce` is.
 */
export async function isUnlisted(bucket: Bucket, key: string): Promise<boolean> {
  const command = new ListObjectsV2Command({ Bucket: bucket.name, Prefix: key, MaxKeys: 1 });
  try {
    const { Contents = [] } = await sendOnce(bucket, command);
    // Of all keys that begin with it, the key itself is the first.
    return Contents[0]?.Key !== key;
  } catch (error) {
    if (isDenied(error)) return false;
    throw error;
  }
}

/**
 * HEAD has an answer without a body, and so without a code: a missing key or bucket, expired credentials and a wrong clock
 * look like any 404, 400 and 403 (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html). GET of one byte says more.
 */
async function reasonOfRefusal(bucket: Bucket, key: string, error: unknown): Promise<unknown> {
  const status = statusOf(error);
  if ((status < 400 || status >= 500) && status !== 501) return error;
  const request = { Bucket: bucket.name, Key: key, Range: 'bytes=0-0', ChecksumMode: 'ENABLED' as const };
  try {
    const answer = await sendOnce(bucket, new GetObjectCommand(request));
    (answer.Body as Readable).destroy();
    return error;
  } catch (reason) {
    // What is refused for itself alone: the body of an archived object, and the first byte of an empty one.
    return isNamed(reason, 'InvalidObjectState', 'InvalidRange') ? error : reason;
  }
}

/** All keys under a prefix, in the order of their bytes. @throws ToolError */
export async function listKeys(bucket: Bucket, prefix: string): Promise<readonly string[]> {
  return (await listObjects(bucket, prefix)).map(({ key }) => key);
}

/** An object as a listing describes it. */
export interface ListedObject extends DatedObject {
  /** The state of its thaw; undefined where none was requested, and where the server does not show it in listings. */
  readonly toldThaw: ToldThaw | undefined;
}

/** All objects under a prefix, in the order of the bytes of their keys, with the state of thaws, where the server shows it. */
export async function listObjects(bucket: Bucket, prefix: string): Promise<readonly ListedObject[]> {
  const what = `list ${prefix}`;
  const objects: ListedObject[] = [];
  // Page by page, so that a page that fails is asked for again, and not all of them.
  const ask = (before: ListObjectsV2CommandOutput | undefined) => {
    const from = { ContinuationToken: before?.NextContinuationToken };
    const shown = { OptionalObjectAttributes: ['RestoreStatus' as const] };
    return send(
      bucket,
      what,
      new ListObjectsV2Command({ Bucket: bucket.name, Prefix: prefix, ...shown, ...from }),
    );
  };
  for await (const page of pagesOf(what, ask, (listed) => listed.NextContinuationToken)) {
    for (const object of page.Contents ?? []) if (object.Key) objects.push(describe(object, object.Key));
  }
  return objects;
}

/** What follows a prefix in keys up to the next `/`, with it: at most the first thousand, by a single request. */
export async function listFolders(bucket: Bucket, prefix: string): Promise<readonly string[]> {
  const request = { Bucket: bucket.name, Prefix: prefix, Delimiter: '/' };
  const { CommonPrefixes = [] } = await send(
    bucket,
    `list ${prefix === '' ? 'the bucket' : prefix}`,
    new ListObjectsV2Command(request),
  );
  return CommonPrefixes.flatMap((folder) => folder.Prefix?.slice(prefix.length) ?? []);
}

function describe(
  { Size = 0, ETag = '', StorageClass = 'STANDARD', LastModified, RestoreStatus }: S3Object,
  key: string,
): ListedObject {
  const { IsRestoreInProgress, RestoreExpiryDate } = RestoreStatus ?? {};
  const toldThaw =
    IsRestoreInProgress === undefined
      ? undefined
      : { isInProgress: IsRestoreInProgress, expiresAtMs: RestoreExpiryDate?.getTime() };
  return {
    key,
    sizeBytes: Size,
    etag: ETag,
    storageClass: StorageClass,
    modifiedAt: LastModified,
    toldThaw,
  };
}

/**
 * Asks the server one cheap question, so that a wrong bucket or secret is found before anything is done.
 * @throws ToolError that says what is wrong.
 */
export async function checkAccess(bucket: Bucket): Promise<void> {
  const request = { Bucket: bucket.name, Prefix: `${bucket.prefix}/`, MaxKeys: 1 };
  await send(bucket, 'use the bucket', new ListObjectsV2Command(request));
}
