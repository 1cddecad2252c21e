/** What S3 says of an object that was made of parts, worked out from the parts: to know it when it is met again. */
import { createHash } from 'node:crypto';

/**
 * The composite SHA-256: the digest of the parts' digests (base64), and how many there are
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html).
 */
export function compositeSha256(sha256s: readonly string[]): string {
  const whole = createHash('sha256');
  for (const sha256 of sha256s) whole.update(Buffer.from(sha256, 'base64'));
  return `${whole.digest('base64')}-${sha256s.length}`;
}

/**
 * The ETag, without quotes: the MD5 of the parts' MD5s, and how many there are. Undefined where the parts' ETags are no MD5s,
 * as with aws:kms (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
 */
export function multipartEtag(etags: readonly string[]): string | undefined {
  const whole = createHash('md5');
  for (const etag of etags) {
    const [md5] = /[0-9a-f]{32}/.exec(etag) ?? [];
    if (md5 === undefined) return undefined;
    whole.update(Buffer.from(md5, 'hex'));
  }
  return `${whole.digest('hex')}-${etags.length}`;
}
