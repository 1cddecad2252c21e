/** What a delete does to one key, alone or as one of many (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html). */

import { bypassesGovernance, requireUnlocked } from '../bucket/object-lock.ts';
import type { Call } from '../http/call.ts';
import { isDeleteMarker } from '../store/versions.ts';
import { deletePrecondition } from './conditions.ts';

/** What is to be deleted: a key, or one version of it for good. */
export interface Deletion {
  readonly key: string;
  readonly versionId: string | undefined;
  readonly etag: string | undefined;
}

/** What became of it. */
export interface Removal {
  /** The version that was removed, or the delete marker that was made. */
  readonly versionId: string | undefined;
  /** Whether that version is a delete marker. */
  readonly marker: 'made' | 'removed' | undefined;
}

/**
 * Without a version a key is hidden under a delete marker in a bucket with versioning, and removed in any other; with
 * one, that version is removed for good, unless Object Lock keeps it.
 * @throws S3Error NoSuchBucket, NoSuchKey, PreconditionFailed, InvalidArgument, AccessDenied
 */
export async function deleteOne(call: Call, bucket: string, deletion: Deletion): Promise<Removal> {
  const { key, versionId, etag } = deletion;
  if (versionId === undefined) {
    const made = await call.store.deleteObject(bucket, key, deletePrecondition(key, etag));
    return { versionId: made?.versionId, marker: made === undefined ? undefined : 'made' };
  }
  const bypass = bypassesGovernance(call.request);
  const removed = await call.store.deleteVersion(bucket, key, versionId, (version) => {
    deletePrecondition(key, etag)(isDeleteMarker(version) ? undefined : version);
    requireUnlocked(version, bypass);
  });
  const isMarker = removed !== undefined && isDeleteMarker(removed);
  return { versionId, marker: isMarker ? 'removed' : undefined };
}
