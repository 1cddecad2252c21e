/** What the requests to a bucket share: what their errors are called, and how they are told. */
import { ToolError } from '../../core/errors.ts';
import type { Bucket } from './s3-client.ts';
import { explainS3Error } from './s3-errors.ts';

/** The error of a request as a line that names bucket and server. @param what was asked for: `list x`, `store y` */
export function explain({ name, server }: Bucket, what: string, error: unknown): Error {
  return explainS3Error(error, { what, bucket: name, server });
}

/** When something may be written: only where there is nothing, or only over what is known by an ETag. */
export type Precondition = { readonly absent: true } | { readonly etag: string };

/** A precondition in the words of a request. */
export type Condition = { readonly IfNoneMatch: string } | { readonly IfMatch: string };

/**
 * The precondition in the words of a request. A quoted `If-Match` is what S3 documents; Ceph's gateway answers 412 to it, but
 * takes the bare value, as S3 does too.
 */
export function conditionOf(precondition: Precondition): Condition {
  return 'absent' in precondition ? { IfNoneMatch: '*' } : { IfMatch: precondition.etag.replaceAll('"', '') };
}

/** True when a write was refused for its precondition. `NoSuchKey` is S3's answer to `If-Match` where there is no object. */
export function isRefusedFor(precondition: Precondition, error: unknown): boolean {
  const reason = error instanceof ToolError ? error.cause : error;
  if (isNamed(reason, 'PreconditionFailed')) return true;
  return 'etag' in precondition && isNamed(reason, 'NoSuchKey');
}

/** True when these credentials may not do what was asked. */
export function isDenied(error: unknown): boolean {
  return isNamed(error instanceof ToolError ? error.cause : error, 'AccessDenied');
}

/** True for an error with one of these names (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). */
export function isNamed(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}
