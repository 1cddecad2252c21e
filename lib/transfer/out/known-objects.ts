/** What S3 says of an object, worked out from what was sent: to know it again where the answer was lost. */
import { createHash } from 'node:crypto';
import type { StoredPart } from '../../core/format/run-files.ts';
import type { ObjectHead, StoredObject } from '../../edge/s3/objects.ts';
import { type PartBody, sizeOf } from './part-payload.ts';

/**
 * The composite SHA-256: the digest of the parts' digests (base64), and how many there are
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html).
 */
function compositeSha256(sha256s: readonly string[]): string {
  const whole = createHash('sha256');
  for (const sha256 of sha256s) whole.update(Buffer.from(sha256, 'base64'));
  return `${whole.digest('base64')}-${sha256s.length}`;
}

/**
 * The ETag, without quotes: the MD5 of the parts' MD5s, and how many there are. Undefined where the parts' ETags are no MD5s,
 * as with aws:kms (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
 */
function multipartEtag(etags: readonly string[]): string | undefined {
  const whole = createHash('md5');
  for (const etag of etags) {
    const [md5] = /[0-9a-f]{32}/.exec(etag) ?? [];
    if (md5 === undefined) return undefined;
    whole.update(Buffer.from(md5, 'hex'));
  }
  return `${whole.digest('hex')}-${etags.length}`;
}

/** The object, if it is the one that these parts make: by S3's SHA-256, or by ETag where it keeps none. */
export function objectMadeOf(
  object: Pick<ObjectHead, 'sizeBytes' | 'etag' | 'sha256'> | undefined,
  parts: readonly StoredPart[],
): StoredObject | undefined {
  if (object?.sizeBytes !== parts.reduce((sum, { size }) => sum + size, 0)) return undefined;
  const isTheirs =
    object.sha256 === undefined
      ? object.etag.replaceAll('"', '') === multipartEtag(parts.map(({ etag }) => etag))
      : object.sha256 === compositeSha256(parts.map(({ sha256 }) => sha256));
  return isTheirs ? { etag: object.etag, checksum: object.sha256 } : undefined;
}

/** The object, if it holds these bytes: by S3's SHA-256, or by the MD5 in its ETag where it keeps none. */
export async function objectOfBody(object: ObjectHead, body: PartBody): Promise<StoredObject | undefined> {
  if (object.sizeBytes !== sizeOf(body)) return undefined;
  const isOurs =
    object.sha256 === undefined
      ? object.etag.replaceAll('"', '') === Buffer.from(await body.md5(), 'base64').toString('hex')
      : object.sha256 === body.sha256;
  return isOurs ? { etag: object.etag, checksum: object.sha256 } : undefined;
}
