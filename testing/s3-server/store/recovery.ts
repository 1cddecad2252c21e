/** What a server finds on disk at its start, made consistent after whatever ended the one before it. */
import { rm } from 'node:fs/promises';
import { loadBuckets, uploadDirectory } from './layout.ts';
import type { BucketState, UploadState, Version } from './records.ts';
import { isDeleteMarker } from './versions.ts';

/** The ids of a version's blobs; none for no version. */
export function blobIds(version: Version | undefined): string[] {
  return version === undefined || isDeleteMarker(version) ? [] : version.blobs.map((blob) => blob.id);
}

/** The ids of the blobs of an upload's parts. */
export function partBlobIds(upload: UploadState): string[] {
  return [...upload.parts.values()].map((part) => part.blob.id);
}

/**
 * Reads every bucket back, and drops an upload whose server died between completing it and forgetting it: its bytes
 * are the object's now, and aborting the upload must not take them.
 * @returns the buckets, and the ids of all blobs that they still name
 * @throws ZodError or SyntaxError for a damaged record
 */
export async function recover(
  root: string,
): Promise<{ readonly buckets: Map<string, BucketState>; readonly referenced: ReadonlySet<string> }> {
  const buckets = await loadBuckets(root);
  const ofObjects = new Set(
    [...buckets.values()].flatMap((bucket) =>
      [...bucket.objects.values(), ...[...bucket.versions.values()].flat()].flatMap(blobIds),
    ),
  );
  const referenced = new Set(ofObjects);
  for (const bucket of buckets.values()) {
    for (const [uploadId, upload] of bucket.uploads) {
      if (partBlobIds(upload).some((id) => ofObjects.has(id))) {
        bucket.uploads.delete(uploadId);
        await rm(uploadDirectory(root, bucket.name, uploadId), { recursive: true, force: true });
      } else {
        for (const id of partBlobIds(upload)) {
          referenced.add(id);
        }
      }
    }
  }
  return { buckets, referenced };
}
