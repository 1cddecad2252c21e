/** What the requests to a bucket share: what their errors are called, and how they are told. */
import type { Bucket } from './s3-client.ts';
import { explainS3Error } from './s3-errors.ts';

/** The error of a request as a line that names bucket and server. @param what was asked for: `list x`, `store y` */
export function explain({ name, server }: Bucket, what: string, error: unknown): Error {
  return explainS3Error(error, { what, bucket: name, server });
}

/** True for an error with one of these names (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). */
export function isNamed(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}
