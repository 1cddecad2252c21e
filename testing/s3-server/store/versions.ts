/**
 * The versions of a key, newest first (https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html).
 * In a bucket without versioning a key has one at most, whose id is `null`.
 */
import { randomBytes } from 'node:crypto';
import { invalidArgument, S3Error } from '../http/errors.ts';
import type { BucketState, DeleteMarker, ObjectRecord, Version } from './records.ts';

/** The id of a version made while its bucket had no versioning. */
const NULL_VERSION = 'null';

/** Whether a version is a delete marker: it has an id and a time, but no bytes. */
export function isDeleteMarker(version: Version): version is DeleteMarker {
  return 'deleteMarker' in version;
}

/** A version's id as clients name it. */
export function versionIdOf(version: Version): string {
  return version.versionId ?? NULL_VERSION;
}

/** Every version of a key, newest first. */
export function versionsOf(bucket: BucketState, key: string): readonly Version[] {
  const object = bucket.objects.get(key);
  return bucket.versions.get(key) ?? (object === undefined ? [] : [object]);
}

/** What sets a new version apart from the earlier ones of its key. */
export function nextVersion(bucket: BucketState, key: string): { versionId: string; sequence: number } {
  const newest = versionsOf(bucket, key)[0];
  return { versionId: randomBytes(24).toString('base64url'), sequence: (newest?.sequence ?? 0) + 1 };
}

/** Puts the versions of a key in place of those that were known, and makes the newest the current object. */
export function setVersions(bucket: BucketState, key: string, versions: readonly Version[]): void {
  const [newest] = versions;
  if (newest === undefined) {
    bucket.versions.delete(key);
  } else {
    bucket.versions.set(key, versions);
  }
  if (newest === undefined || isDeleteMarker(newest)) {
    bucket.objects.delete(key);
  } else {
    bucket.objects.set(key, newest);
  }
}

/** One version of a key; undefined when there is no such version. @throws S3Error InvalidArgument for what is no id */
export function findVersion(bucket: BucketState, key: string, versionId: string): Version | undefined {
  if (versionId !== NULL_VERSION && !/^[A-Za-z0-9_-]{32}$/.test(versionId)) {
    throw invalidArgument('versionId', versionId, 'Invalid version id specified');
  }
  return versionsOf(bucket, key).find((version) => versionIdOf(version) === versionId);
}

/** The header that names a version; a bucket that never had versioning sends none. */
export function versionHeaders(bucket: BucketState, version: Version): Record<string, string> {
  return bucket.configuration.versioning === undefined && version.versionId === undefined
    ? {}
    : { 'x-amz-version-id': versionIdOf(version) };
}

/**
 * The object of a key, or one version of it.
 * @throws S3Error NoSuchKey, NoSuchVersion, InvalidArgument, MethodNotAllowed for a delete marker by its id
 */
export function requireObject(bucket: BucketState, key: string, versionId: string | undefined): ObjectRecord {
  if (versionId === undefined) {
    const object = bucket.objects.get(key);
    if (object === undefined) {
      const [marker] = versionsOf(bucket, key);
      const headers = marker === undefined ? {} : markerHeaders(marker);
      throw new S3Error('NoSuchKey', { elements: { Key: key }, headers });
    }
    return object;
  }
  const version = findVersion(bucket, key, versionId);
  if (version === undefined) {
    throw new S3Error('NoSuchVersion', { elements: { Key: key, VersionId: versionId } });
  }
  if (isDeleteMarker(version)) {
    throw new S3Error('MethodNotAllowed', {
      elements: { Method: 'GET', ResourceType: 'DeleteMarker' },
      headers: { ...markerHeaders(version), allow: 'DELETE' },
    });
  }
  return version;
}

function markerHeaders(marker: Version): Record<string, string> {
  return { 'x-amz-delete-marker': 'true', 'x-amz-version-id': versionIdOf(marker) };
}
