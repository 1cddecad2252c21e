/** Multipart uploads that are neither completed nor aborted: lists them and their parts, and aborts them. */
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListPartsCommand,
  type ListPartsCommandOutput,
} from '@aws-sdk/client-s3';
import { outlasting } from '../process/abort-scope.ts';
import { pagesOf } from './requests/pages.ts';
import { send } from './requests/send.ts';
import type { Bucket } from './s3-client.ts';
import { isNamed } from './s3-errors.ts';

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
    return send(bucket, what, new ListMultipartUploadsCommand({ ...place, ...from }));
  };
  const markerOf = ({ NextKeyMarker = '', NextUploadIdMarker = '' }: ListMultipartUploadsCommandOutput) =>
    NextKeyMarker + NextUploadIdMarker;
  for await (const page of pagesOf(what, ask, markerOf)) {
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined) continue;
      found.push({ key: Key, uploadId: UploadId, initiatedAt: Initiated });
    }
  }
  return found;
}

/** A part as the server has it. */
export interface ListedPart {
  readonly sizeBytes: number;
  readonly etag: string;
}

/** The parts that the server has of an upload, by number; undefined when it does not know the upload. @throws ToolError */
export async function listParts(
  bucket: Bucket,
  { key, uploadId }: MultipartUpload,
): Promise<ReadonlyMap<number, ListedPart> | undefined> {
  const what = `list the parts of ${key}`;
  const place = { Bucket: bucket.name, Key: key, UploadId: uploadId };
  const parts = new Map<number, ListedPart>();
  // Not the SDK's paginator: it never ends, because S3 gives a marker on the last page too
  // (https://github.com/awslabs/aws-sdk-rust/issues/1143 reports the same of another SDK).
  const ask = (before: ListPartsCommandOutput | undefined) =>
    send(bucket, what, new ListPartsCommand({ ...place, PartNumberMarker: before?.NextPartNumberMarker }));
  try {
    for await (const page of pagesOf(what, ask, (listed) => listed.NextPartNumberMarker)) {
      for (const { PartNumber, Size, ETag } of page.Parts ?? []) {
        if (PartNumber !== undefined) parts.set(PartNumber, { sizeBytes: Size ?? 0, etag: ETag ?? '' });
      }
    }
  } catch (error) {
    if (isUnknownUpload(error)) return undefined;
    throw error;
  }
  return parts;
}

/** Aborts an upload, so that its parts are no longer charged for; an unknown one is not an error. @throws ToolError */
export async function abortUpload(bucket: Bucket, { key, uploadId }: MultipartUpload): Promise<void> {
  const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: key, UploadId: uploadId });
  try {
    await send(bucket, `abort ${key}`, command);
  } catch (error) {
    if (!isUnknownUpload(error)) throw error;
  }
}

/** Aborts an upload that was begun to try something, also while the run is being stopped: its parts would stay. @throws ToolError */
export function abandonUpload(bucket: Bucket, upload: MultipartUpload): Promise<void> {
  return outlasting(bucket.signal, (signal) => abortUpload({ ...bucket, signal }, upload));
}

/** The gateway of Ceph 16 says NoSuchKey where S3 says NoSuchUpload (measured; the contract tests have it as error-codes). */
export function isUnknownUpload(error: unknown): boolean {
  return isNamed(error, 'NoSuchUpload', 'NoSuchKey');
}
