/** Multipart uploads that are neither completed nor given up: finding them, and giving them up. */
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
} from '@aws-sdk/client-s3';
import { explain, isNamed } from './conditions.ts';
import { pagesOf } from './pages.ts';
import type { Bucket } from './s3-client.ts';

/** A multipart upload that has begun. */
export interface MultipartUpload {
  readonly key: string;
  readonly uploadId: string;
}

/** A multipart upload as it is listed; when it was begun, by the server's clock. */
export interface ListedUpload extends MultipartUpload {
  readonly initiatedAt: Date | undefined;
}

/** The uploads below a key's beginning. @throws ToolError when they cannot be listed */
export async function listUploads(bucket: Bucket, keyPrefix: string): Promise<readonly ListedUpload[]> {
  const what = `list the unfinished uploads of ${keyPrefix}`;
  const place = { Bucket: bucket.name, Prefix: keyPrefix };
  const found: ListedUpload[] = [];
  const ask = (before: ListMultipartUploadsCommandOutput | undefined) => {
    const from = { KeyMarker: before?.NextKeyMarker, UploadIdMarker: before?.NextUploadIdMarker };
    const command = new ListMultipartUploadsCommand({ ...place, ...from });
    return bucket.retrier.run(what, () => bucket.client.send(command, { abortSignal: bucket.signal }));
  };
  const markerOf = ({ NextKeyMarker = '', NextUploadIdMarker = '' }: ListMultipartUploadsCommandOutput) =>
    NextKeyMarker + NextUploadIdMarker;
  try {
    for await (const page of pagesOf(what, ask, markerOf)) {
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined) continue;
        found.push({ key: Key, uploadId: UploadId, initiatedAt: Initiated });
      }
    }
  } catch (error) {
    throw explain(bucket, what, error);
  }
  return found;
}

/** Gives an upload up, so that its parts are not charged for; an unknown one is no error. @throws ToolError */
export async function abortUpload(bucket: Bucket, { key, uploadId }: MultipartUpload): Promise<void> {
  const what = `abort ${key}`;
  try {
    const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: key, UploadId: uploadId });
    await bucket.retrier.run(what, () => bucket.client.send(command, { abortSignal: bucket.signal }));
  } catch (error) {
    if (isUnknownUpload(error)) return;
    throw explain(bucket, what, error);
  }
}

/** The gateway of Ceph 16 says NoSuchKey where S3 says NoSuchUpload (measured; the contract tests have it as error-codes). */
export function isUnknownUpload(error: unknown): boolean {
  return isNamed(error, 'NoSuchUpload', 'NoSuchKey');
}
