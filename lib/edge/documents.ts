/** Small objects: manifests, pointers, texts. Listing and looking at objects. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { ToolError } from '../core/errors.ts';
import { piecesOf } from './body.ts';
import { pagesOf } from './pages.ts';
import { TransferError } from './retry.ts';
import type { Bucket, WriteOptions } from './s3-client.ts';
import { explainS3Error, statusOf } from './s3-errors.ts';

/** A document and the ETag under which it was read. */
export interface Document {
  readonly text: string;
  readonly etag: string;
}

/**
 * Reads a document; undefined when there is none.
 * @throws ToolError when it is larger than `maxBytes` or cannot be read; of the kind damage when its bytes are, time and again,
 *   not those that were stored, where the server keeps a checksum.
 */
export async function readDocument(
  bucket: Bucket,
  key: string,
  maxBytes: number,
): Promise<Document | undefined> {
  const what = `read ${key}`;
  try {
    return await bucket.retrier.run(what, () => readOnce(bucket, key, maxBytes));
  } catch (error) {
    if (hasName(error, 'NoSuchKey')) return undefined;
    if (error instanceof OtherBytes) {
      throw new ToolError(`${key} is damaged: ${error.message}`, {
        kind: 'damage',
        problem: `is damaged: ${error.message}`,
        hint: 'see what else is affected with: make verify',
        cause: error,
      });
    }
    throw explainS3Error(error, { ...place(bucket), what });
  }
}

/** A document is small and has no hash anywhere else, so that one wrong digit in it would pass for the truth. */
class OtherBytes extends TransferError {}

async function readOnce(bucket: Bucket, key: string, maxBytes: number): Promise<Document> {
  const { signal } = bucket;
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key, ChecksumMode: 'ENABLED' });
  const response = await bucket.client.send(command, { abortSignal: signal });
  const body = response.Body as Readable;
  const { ContentLength: bytes = 0, ETag: etag = '' } = response;
  if (bytes > maxBytes) {
    // A body that is not read keeps its connection, and there are only so many.
    body.destroy();
    throw tooLarge(key, maxBytes);
  }
  const content = await text(limited(piecesOf(body, key, signal), key, maxBytes)).catch((error: unknown) => {
    // The SDK compares the checksum; its error has no name.
    if (!(error instanceof Error) || !error.message.startsWith('Checksum mismatch')) throw error;
    throw new OtherBytes('its bytes are not those that were stored', { cause: error });
  });
  return { text: content, etag };
}

/** The length that was told in front may be wrong, or missing. */
async function* limited(
  pieces: AsyncIterable<Buffer>,
  key: string,
  maxBytes: number,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(key, maxBytes);
    yield piece;
  }
}

function tooLarge(key: string, maxBytes: number): ToolError {
  const problem = `has more than ${maxBytes} bytes, and is not read`;
  return new ToolError(`${key} ${problem}`, { kind: 'damage', problem });
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
  content: string,
  options: WriteOptions,
  precondition: Precondition,
): Promise<boolean> {
  const what = `write ${key}`;
  const condition =
    'absent' in precondition ? { IfNoneMatch: '*' } : { IfMatch: precondition.etag.replaceAll('"', '') };
  try {
    const request = {
      Bucket: bucket.name,
      Key: key,
      Body: content,
      ContentType: 'application/json',
      ChecksumSHA256: createHash('sha256').update(content).digest('base64'),
      ...options,
    };
    const command = () => new PutObjectCommand({ ...request, ...condition });
    await send(bucket, what, (options) => bucket.client.send(command(), options));
    return true;
  } catch (error) {
    if (preconditionErrors.some((name) => hasName(error, name))) return false;
    throw explainS3Error(error, { ...place(bucket), what });
  }
}

/** The last is S3's answer to `If-Match` where there is no object any more. */
const preconditionErrors = ['PreconditionFailed', 'ConditionalRequestConflict', 'NoSuchKey'] as const;

/** Writes a text for people, over whatever was there. */
export async function writeText(
  bucket: Bucket,
  key: string,
  content: string,
  options: WriteOptions,
): Promise<void> {
  const params = {
    Bucket: bucket.name,
    Key: key,
    Body: content,
    ContentType: 'text/plain; charset=utf-8',
    ...options,
  };
  const what = `write ${key}`;
  const abortController = new AbortController();
  const abort = () => abortController.abort(bucket.signal.reason);
  bucket.signal.addEventListener('abort', abort, { once: true });
  try {
    const upload = () => new Upload({ client: bucket.client, params, abortController });
    await bucket.retrier.run(what, () => upload().done());
  } catch (error) {
    throw explainS3Error(error, { ...place(bucket), what });
  } finally {
    bucket.signal.removeEventListener('abort', abort);
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
  const what = `look at ${key}`;
  try {
    return await bucket.retrier.run(what, () => headOnce(bucket, key));
  } catch (error) {
    throw explainS3Error(error, { ...place(bucket), what });
  }
}

/** Looks at an object with a single request, and lets its error through as it is: for use within a request that is repeated. */
export async function headOnce(bucket: Bucket, key: string): Promise<ObjectHead | undefined> {
  try {
    const request = { Bucket: bucket.name, Key: key, ChecksumMode: 'ENABLED' as const };
    const head = await bucket.client.send(new HeadObjectCommand(request), { abortSignal: bucket.signal });
    const storageClass = head.StorageClass ?? 'STANDARD';
    return {
      sizeBytes: head.ContentLength ?? 0,
      etag: head.ETag ?? '',
      sha256: head.ChecksumSHA256,
      storageClass,
      cold: archiveClasses.includes(storageClass) && !head.Restore?.includes('ongoing-request="false"'),
    };
  } catch (error) {
    const reason = await reasonOfRefusal(bucket, key, error);
    if (hasName(reason, 'NoSuchKey')) return undefined;
    throw reason;
  }
}

/**
 * HEAD has an answer without a body, and so without a code: a missing key or bucket, expired credentials and a wrong clock
 * look like any 404, 400 and 403 (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html). GET of one byte says more.
 */
async function reasonOfRefusal(bucket: Bucket, key: string, error: unknown): Promise<unknown> {
  const status = statusOf(error);
  if (status < 400 || status >= 500) return error;
  const request = { Bucket: bucket.name, Key: key, Range: 'bytes=0-0' };
  try {
    const answer = await bucket.client.send(new GetObjectCommand(request), { abortSignal: bucket.signal });
    (answer.Body as Readable).destroy();
    return error;
  } catch (reason) {
    // What is refused for itself alone: the body of an archived object, and the first byte of an empty one.
    return hasName(reason, 'InvalidObjectState') || hasName(reason, 'InvalidRange') ? error : reason;
  }
}

/** All keys under a prefix, in the order of their bytes. */
export async function listKeys(bucket: Bucket, prefix: string): Promise<readonly string[]> {
  const what = `list ${prefix}`;
  const keys: string[] = [];
  try {
    // Page by page, so that a page that fails is asked for again, and not all of them.
    const ask = (before: ListObjectsV2CommandOutput | undefined) => {
      const request = {
        Bucket: bucket.name,
        Prefix: prefix,
        ContinuationToken: before?.NextContinuationToken,
      };
      return send(bucket, what, (options) => bucket.client.send(new ListObjectsV2Command(request), options));
    };
    for await (const page of pagesOf(what, ask, (listed) => listed.NextContinuationToken)) {
      keys.push(...(page.Contents ?? []).flatMap((object) => object.Key ?? []));
    }
  } catch (error) {
    throw explainS3Error(error, { ...place(bucket), what });
  }
  return keys;
}

/**
 * Asks the server one cheap question, so that a wrong bucket or secret is found before anything is done.
 * @throws ToolError that says what is wrong.
 */
export async function checkAccess(bucket: Bucket): Promise<void> {
  const what = 'use the bucket';
  try {
    const request = { Bucket: bucket.name, Prefix: `${bucket.prefix}/`, MaxKeys: 1 };
    await send(bucket, what, (options) => bucket.client.send(new ListObjectsV2Command(request), options));
  } catch (error) {
    throw explainS3Error(error, { ...place(bucket), what });
  }
}

/** A small request, repeated while it may pass, and ended with the run. */
function send<Answer>(
  { retrier, signal }: Bucket,
  what: string,
  request: (options: { readonly abortSignal: AbortSignal }) => Promise<Answer>,
): Promise<Answer> {
  return retrier.run(what, () => request({ abortSignal: signal }));
}

function hasName(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

function place(bucket: Bucket): { readonly bucket: string; readonly server: string } {
  return { bucket: bucket.name, server: bucket.server };
}
