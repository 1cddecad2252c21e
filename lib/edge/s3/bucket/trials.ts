/**
 * What credentials may do, found out by doing it in a way that changes nothing: S3 judges permissions before it judges the request, so that a request
 * which cannot succeed is refused for another reason where it is allowed.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  RestoreObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { conditionOf, mayBeForCondition } from '../conditional-write.ts';
import { abandonUpload, listUploads } from '../multipart-uploads.ts';
import { send } from '../requests/send.ts';
import type { Bucket, WriteOptions } from '../s3-client.ts';
import { detailsOf, isNamed, reasonOf, statusOf } from '../s3-errors.ts';

/** An action of IAM that was tried. */
export interface Trial {
  readonly action: string;
  /** What it was tried on: keys below the bucket; undefined for the bucket itself. */
  readonly on: string | undefined;
  readonly outcome: 'allowed' | 'denied';
  /** The server's sentence about a denial. */
  readonly says: string;
}

/** An ETag that no object has. */
const noEtag = '"00000000000000000000000000000000"';
const noUpload = 'btrfs-to-s3-doctor';

/**
 * Tries an action.
 * @param passes names of errors that only who may do it gets
 * @throws ToolError for any other error
 */
export async function tryAction(
  action: string,
  on: string | undefined,
  passes: readonly string[],
  request: () => Promise<unknown>,
): Promise<Trial> {
  const trial = (outcome: Trial['outcome'], says = ''): Trial => {
    // A write that compares an ETag needs the right to read it, too; AWS names what is missing.
    const [, missing = action] = /not authorized to perform: (s3:\w+)/.exec(says) ?? [];
    return { action: missing, on, outcome, says };
  };
  try {
    await request();
    return trial('allowed');
  } catch (error) {
    const reason = reasonOf(error);
    if (isNamed(reason, ...passes)) return trial('allowed');
    if (statusOf(reason) === 403) return trial('denied', detailsOf(reason).message);
    throw error;
  }
}

/** Lists unfinished uploads, as the bucket is asked for them before a backup and by prune. */
export function tryListUploads(bucket: Bucket): Promise<Trial> {
  return tryAction('s3:ListBucketMultipartUploads', undefined, [], () =>
    listUploads(bucket, `${bucket.prefix}/`),
  );
}

/** Reads the first byte of an object that is there. */
export function tryRead(bucket: Bucket, key: string): Promise<Trial> {
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key, Range: 'bytes=0-0' });
  return tryAction('s3:GetObject', key, ['InvalidObjectState', 'InvalidRange'], async () => {
    const { Body } = await send(bucket, `read ${key}`, command);
    (Body as { destroy?: () => void } | undefined)?.destroy?.();
  });
}

/** Asks for the thaw of an object that is in no archive, which S3 refuses, and charges nothing for; a server without archives does not support the request. */
export function tryThaw(bucket: Bucket, key: string): Promise<Trial> {
  const command = new RestoreObjectCommand({ Bucket: bucket.name, Key: key, RestoreRequest: { Days: 1 } });
  const passes = ['InvalidObjectState', 'NotImplemented', 'MethodNotAllowed'];
  return tryAction('s3:RestoreObject', key, passes, () => send(bucket, `thaw ${key}`, command));
}

/**
 * Replaces a document under a condition that does not hold. One that is not there is made where conditions turn out to have no effect, and is deleted
 * again; where they are refused, that is noted.
 * @param content of a document that is there, so that nothing would change if it were written; undefined for one that is not there
 */
export function tryReplace(
  bucket: Bucket,
  key: string,
  options: WriteOptions,
  content: string | undefined,
): Promise<Trial> {
  const place = { Bucket: bucket.name, Key: key };
  const condition = conditionOf(bucket, { etag: noEtag });
  const replace = new PutObjectCommand({ ...place, Body: content ?? '{}', ...options, ...condition });
  return tryAction('s3:PutObject', key, ['PreconditionFailed', 'NoSuchKey'], async () => {
    try {
      await send(bucket, `replace ${key}`, replace);
    } catch (error) {
      if (!mayBeForCondition(error)) throw error;
      bucket.habits.loseConditions('refuses');
      return;
    }
    bucket.habits.loseConditions('ignores');
    if (content === undefined) await send(bucket, `delete ${key}`, new DeleteObjectCommand(place));
  });
}

/** Deletes an object that is not there. In a bucket that keeps versions that would leave a mark. */
export function tryDelete(bucket: Bucket, key: string): Promise<Trial> {
  const command = new DeleteObjectCommand({ Bucket: bucket.name, Key: key });
  return tryAction('s3:DeleteObject', key, ['NoSuchKey'], () => send(bucket, `delete ${key}`, command));
}

/** Ends an upload that does not exist. */
export function tryAbort(bucket: Bucket, key: string, uploadId = noUpload): Promise<Trial> {
  const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: key, UploadId: uploadId });
  const passes = ['NoSuchUpload', 'NoSuchKey', 'InvalidArgument'];
  return tryAction('s3:AbortMultipartUpload', key, passes, () => send(bucket, `abort ${key}`, command));
}

/**
 * Begins an upload, sends a part of one byte, lists it, asks for a completion that cannot succeed, and ends the upload. Where it may not be ended it is
 * found, and used, by the next trial.
 */
export async function tryUpload(
  bucket: Bucket,
  key: string,
  options: WriteOptions,
): Promise<readonly Trial[]> {
  const place = { Bucket: bucket.name, Key: key };
  const begin = new CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: 'SHA256', ...options });
  let uploadId = (await listUploads(bucket, key).catch(() => []))[0]?.uploadId;
  const trials: Trial[] = [];
  const attempt = async (action: string, passes: readonly string[], request: () => Promise<unknown>) => {
    const trial = await tryAction(action, key, passes, request);
    trials.push(trial);
    return trial.outcome === 'allowed';
  };
  if (uploadId === undefined) {
    const isBegun = await attempt('s3:PutObject', [], async () => {
      ({ UploadId: uploadId } = await send(bucket, `begin ${key}`, begin));
    });
    if (!isBegun) return trials;
  }
  const upload = { ...place, UploadId: uploadId };
  const part = new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'x', ChecksumSHA256: digestOfX });
  const complete = new CompleteMultipartUploadCommand({
    ...upload,
    ...conditionOf(bucket, { absent: true }),
    MultipartUpload: { Parts: [{ PartNumber: 1, ETag: noEtag, ChecksumSHA256: digestOfX }] },
  });
  const passes = ['InvalidPart', 'InvalidRequest', 'MalformedXML', 'BadDigest', 'PreconditionFailed'];
  try {
    await attempt('s3:PutObject', [], () => send(bucket, `send a part of ${key}`, part));
    await attempt('s3:ListMultipartUploadParts', ['NoSuchUpload', 'NoSuchKey'], () =>
      send(bucket, `list the parts of ${key}`, new ListPartsCommand(upload)),
    );
    await attempt('s3:PutObject', passes, () => send(bucket, `complete ${key}`, complete));
  } catch (error) {
    // What went wrong first is what the user must read.
    await abandonUpload(bucket, { key, uploadId: uploadId ?? '' }).catch(() => undefined);
    throw error;
  }
  return [...trials, await tryAbort(bucket, key, uploadId)];
}

/** SHA-256 of the letter x, in base64. */
const digestOfX = 'LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=';
