/** Conditional requests, on reading and on writing (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html). */
import { notImplementedHeader, S3Error } from '../http/errors.ts';
import type { S3Request } from '../http/request.ts';
import type { ObjectRecord } from '../store/records.ts';
import type { Precondition } from '../store/store.ts';

function failed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', { elements: { Condition: condition } });
}

/** Whether an ETag list of a condition, quoted or not, names this object. */
function names(list: string, object: ObjectRecord): boolean {
  return list.split(',').some((each) => {
    const tag = each
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1');
    return tag === '*' || tag === object.etag;
  });
}

/** Whole seconds, as an HTTP date has them. */
function seconds(date: string): number {
  return Math.floor(Date.parse(date) / 1000);
}

/**
 * The condition of a PutObject or CompleteMultipartUpload, to be tried while the key is locked.
 * @throws S3Error NotImplemented at once for `If-None-Match` with anything but `*`, which S3 refuses on writes
 */
export function writePrecondition(request: S3Request): Precondition {
  const ifMatch = request.headers['if-match'];
  const ifNoneMatch = request.headers['if-none-match'];
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    throw notImplementedHeader('If-None-Match');
  }
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw notImplementedHeader('If-Match,If-None-Match');
  }
  return (existing) => {
    if (ifNoneMatch !== undefined && existing !== undefined) {
      throw failed('If-None-Match');
    }
    if (ifMatch !== undefined && existing === undefined) {
      throw new S3Error('NoSuchKey', { elements: { Key: request.key ?? '' } });
    }
    if (ifMatch !== undefined && existing !== undefined && !names(ifMatch, existing)) {
      throw failed('If-Match');
    }
  };
}

/** The condition of a delete that gives an ETag, or `*` for "only if it is there". */
export function deletePrecondition(key: string, etag: string | undefined): Precondition {
  return (existing) => {
    if (etag !== undefined && existing === undefined) {
      throw new S3Error('NoSuchKey', { elements: { Key: key } });
    }
    if (etag !== undefined && existing !== undefined && !names(etag, existing)) {
      throw failed('If-Match');
    }
  };
}

/**
 * The conditions of GetObject and HeadObject, in the order of RFC 9110, 13.2.2: an ETag condition overrides its date.
 * @returns whether the client's copy is still good, so that 304 is the answer
 * @throws S3Error PreconditionFailed
 */
export function isNotModified(request: S3Request, object: ObjectRecord): boolean {
  const ifMatch = request.headers['if-match'];
  const ifUnmodifiedSince = request.headers['if-unmodified-since'];
  if (ifMatch !== undefined) {
    if (!names(ifMatch, object)) {
      throw failed('If-Match');
    }
  } else if (ifUnmodifiedSince !== undefined && seconds(object.lastModified) > seconds(ifUnmodifiedSince)) {
    throw failed('If-Unmodified-Since');
  }
  const ifNoneMatch = request.headers['if-none-match'];
  if (ifNoneMatch !== undefined) {
    return names(ifNoneMatch, object);
  }
  const ifModifiedSince = request.headers['if-modified-since'];
  return ifModifiedSince !== undefined && seconds(object.lastModified) <= seconds(ifModifiedSince);
}
