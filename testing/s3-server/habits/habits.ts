/** What a server may do otherwise than S3, as plain data. A server without habits is S3 as its documentation describes it. */
import type { ErrorCode } from '../http/errors.ts';

/** Headers that a server refuses. */
export interface RefusedHeaders {
  readonly headers: RegExp;
  /** Whether only what changes an object (PUT and POST) is refused; reads are too otherwise. */
  readonly writesOnly?: true;
  /** Values that are taken all the same. */
  readonly except?: readonly string[];
  readonly code: ErrorCode;
  /** What the server says; S3's sentence for the code where this is left out. */
  readonly says?: (name: string, value: string) => string;
}

/** The habits of a provider; each one that is left out is S3's. */
export interface Habits {
  /** How the server calls itself in its answers. */
  readonly serverHeader?: string;
  /** The error for requests that name the bucket in the path; both styles are taken otherwise. */
  readonly pathStyleRefusal?: ErrorCode;
  readonly refused?: readonly RefusedHeaders[];
  /** Headers of writes that are taken and have no effect. */
  readonly ignored?: RegExp;
  /** Whether conditions of CompleteMultipartUpload have no effect, although those of PutObject have. */
  readonly ignoresConditionsOfCompletion?: true;
  /** What the answer to CompleteMultipartUpload says of the ETag. */
  readonly etagOfCompletion?: 'other' | 'none';
  /** Whether HEAD gives an object of several parts another ETag than listings and GET do. */
  readonly otherEtagOfHead?: true;
  /** Whether the ETag of a part is not the MD5 of its bytes. */
  readonly etagOfPartIsNoMd5?: true;
  /** Milliseconds from the first write under a key to the moment in which HEAD and GET find it. */
  readonly seenAfterMs?: number;
  /** The largest body that a proxy in front of the server lets through, in bytes. */
  readonly bodyLimitBytes?: number;
  /** The error for DeleteObjects without Content-MD5. */
  readonly md5Refusal?: ErrorCode;
  /** Whether a listing of uploads shows those of exactly one key alone. */
  readonly listsUploadsByWholeKey?: true;
  /** The part at which an upload turns out to have been ended, as by a lifecycle rule that gives it less time than it takes. */
  readonly uploadEndsAtPart?: number;
  /** Whether all parts of an upload but the last must have one size. */
  readonly partsOfOneSize?: true;
  /** Operations that are not implemented. */
  readonly lacks?: readonly string[];
}
