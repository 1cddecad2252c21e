/**
 * The pieces of signature version 4 that a header and a presigned URL share
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html).
 */
import { timingSafeEqual } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { S3Error } from '../http/errors.ts';
import type { S3Request } from '../http/request.ts';

/** The one account this server knows. */
export interface Account {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

/** S3 refuses a request whose clock is further away than this. */
export const MAX_SKEW_MS = 15 * 60 * 1000;

/** Reads `20250131T235959Z`; undefined for anything else. */
export function parseAmzDate(text: string | undefined): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '');
  if (match === null) {
    return undefined;
  }
  const [, year, month, day, hour, minute, second] = match;
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** Encodes a path as the canonical request wants it, whatever the client left unencoded. */
export function canonicalPath(path: string): string {
  return path
    .split('/')
    .map((segment) => encodeURIComponent(decodeURIComponent(segment)).replace(/[!'()*]/g, percent))
    .join('/');
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** The signer over S3's rules: the path is encoded once, never normalised. */
export function createSigner(account: Account): SignatureV4 {
  return new SignatureV4({
    service: 's3',
    region: account.region,
    credentials: account,
    sha256: Sha256,
    uriEscapePath: false,
    applyChecksum: false,
  });
}

/**
 * The headers a request signed, by name.
 * @throws S3Error AccessDenied when `host` or any `x-amz-*` header was sent but not signed.
 */
export function signedHeaders(request: S3Request, names: readonly string[]): Record<string, string> {
  const unsigned = Object.keys(request.headers).filter(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !names.includes(name),
  );
  if (unsigned.length > 0) {
    throw new S3Error('AccessDenied', {
      message: 'There were headers present in the request which were not signed',
      elements: { HeadersNotSigned: unsigned.join(', ') },
    });
  }
  return Object.fromEntries(names.map((name) => [name, request.headers[name] ?? '']));
}

/** Compares two hexadecimal signatures in constant time. */
export function sameSignature(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right));
}

/**
 * Checks the parts of a credential that do not need the secret.
 * @param scope date, region and service of the credential scope
 * @throws S3Error InvalidAccessKeyId, AuthorizationHeaderMalformed
 */
export function checkCredential(
  account: Account,
  accessKeyId: string,
  scope: readonly [date: string, region: string, service: string],
  amzDate: string,
): void {
  const [date, region, service] = scope;
  if (accessKeyId !== account.accessKeyId) {
    throw new S3Error('InvalidAccessKeyId', { elements: { AWSAccessKeyId: accessKeyId } });
  }
  if (region !== account.region) {
    throw new S3Error('AuthorizationHeaderMalformed', {
      message: `The authorization header is malformed; the region '${region}' is wrong; expecting '${account.region}'`,
      elements: { Region: account.region },
    });
  }
  if (service !== 's3' || !amzDate.startsWith(date)) {
    throw new S3Error('AuthorizationHeaderMalformed');
  }
}
