/** What a client says its body is: length, MD5, checksum. Read and judged before a byte of the body is taken. */
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  checksumHeader,
  isChecksumValue,
  parseAlgorithm,
} from './checksums.ts';
import { S3Error } from './errors.ts';
import type { Payload } from './payload.ts';
import type { S3Request } from './request.ts';

/** A checksum the client gives: its value at once in a header, or undefined when a trailer will bring it. */
export interface ChecksumClaim {
  readonly algorithm: ChecksumAlgorithm;
  readonly value: string | undefined;
}

/** The headers of a call that say how its body is verified. */
interface BodyClaims {
  readonly request: S3Request;
  readonly payload: Payload;
}

/** The largest body S3 takes in one PutObject or UploadPart, in bytes. */
const MAX_BODY_BYTES = 5 * 1024 ** 3;

/**
 * The length of the object's bytes: Content-Length, or x-amz-decoded-content-length under aws-chunked framing.
 * @throws S3Error MissingContentLength when there is none; a chunked transfer without a length is not S3's
 */
export function declaredLength(request: S3Request, chunked: boolean): number {
  const name = chunked ? 'x-amz-decoded-content-length' : 'content-length';
  const text = request.headers[name];
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new S3Error('MissingContentLength');
  }
  const length = Number(text);
  if (length > MAX_BODY_BYTES) {
    throw new S3Error('EntityTooLarge', {
      elements: { ProposedSize: text, MaxSizeAllowed: String(MAX_BODY_BYTES) },
    });
  }
  return length;
}

/**
 * The Content-MD5 header in base64, checked to be the base64 of 16 bytes.
 * @throws S3Error InvalidDigest
 */
export function claimedMd5(request: S3Request): string | undefined {
  const text = request.headers['content-md5'];
  if (text === undefined) {
    return undefined;
  }
  const digest = Buffer.from(text, 'base64');
  if (digest.length !== 16 || digest.toString('base64') !== text) {
    throw new S3Error('InvalidDigest', { elements: { 'Content-MD5': text } });
  }
  return text;
}

/**
 * The checksum a client claims by `x-amz-checksum-*` or announces by `x-amz-trailer`. Rules and words are from
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (x-amz-sdk-checksum-algorithm).
 * @throws S3Error InvalidRequest for more than one, a value that cannot be one, or an announced one that is not there
 */
export function claimedChecksum(request: S3Request, chunked: boolean): ChecksumClaim | undefined {
  const headers = CHECKSUM_ALGORITHMS.filter((each) => request.headers[checksumHeader(each)] !== undefined);
  const trailer = chunked ? request.headers['x-amz-trailer']?.trim().toLowerCase() : undefined;
  const trailing = CHECKSUM_ALGORITHMS.find((each) => checksumHeader(each) === trailer);
  if (trailer !== undefined && trailing === undefined) {
    throw new S3Error('InvalidRequest', {
      message: 'The value specified in the x-amz-trailer header is not supported',
    });
  }
  if (headers.length + (trailing === undefined ? 0 : 1) > 1) {
    throw new S3Error('InvalidRequest', {
      message: 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    });
  }
  const algorithm = headers[0] ?? trailing;
  const announced = request.headers['x-amz-sdk-checksum-algorithm'];
  if (announced !== undefined) {
    const wanted = parseAlgorithm(announced);
    if (algorithm === undefined) {
      throw new S3Error('InvalidRequest', {
        message:
          'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
      });
    }
    if (algorithm !== wanted) {
      throw new S3Error('InvalidRequest', {
        message: 'Value for x-amz-sdk-checksum-algorithm header is invalid.',
      });
    }
  }
  if (algorithm === undefined) {
    return undefined;
  }
  const value = request.headers[checksumHeader(algorithm)];
  if (value !== undefined && !isChecksumValue(algorithm, value)) {
    throw new S3Error('InvalidRequest', {
      message: `Value for ${checksumHeader(algorithm)} header is invalid.`,
    });
  }
  return { algorithm, value };
}

/** Whether a request vouches for its body beyond its signature, by Content-MD5 or a checksum. @throws S3Error as claimedChecksum */
export function hasDigest(source: BodyClaims): boolean {
  const chunked = source.payload.kind === 'unsigned-trailer';
  return (
    source.request.headers['content-md5'] !== undefined ||
    claimedChecksum(source.request, chunked) !== undefined
  );
}

/** Refuses a request that does not vouch for its body; some operations demand it. @throws S3Error InvalidRequest */
export function requireDigest(source: BodyClaims): void {
  if (!hasDigest(source)) {
    throw new S3Error('InvalidRequest', { message: 'Missing required header for this request: Content-MD5' });
  }
}
