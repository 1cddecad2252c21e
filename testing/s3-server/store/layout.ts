/**
 * Where things lie on disk, and how they are written and read back:
 *
 *     blobs/<uuid>                                   bytes
 *     buckets/<bucket>/bucket.json
 *     buckets/<bucket>/objects/<sha256 of key>.json  the key is inside, so no key can name a path
 *     buckets/<bucket>/versions/<sha256 of key>/<version id>.json
 *     buckets/<bucket>/uploads/<upload id>/upload.json, part-<number>.json
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { z } from 'zod';
import {
  type BucketState,
  bucketSchema,
  emptyBucket,
  objectSchema,
  type PartRecord,
  partSchema,
  type UploadRecord,
  type UploadState,
  uploadSchema,
  type Version,
  versionSchema,
} from './records.ts';
import { setVersions, versionsOf } from './versions.ts';

/** Where all of a bucket but its bytes is. */
export function bucketDirectory(root: string, bucket: string): string {
  return join(root, 'buckets', bucket);
}

/** A bucket's own record. */
export function bucketPath(root: string, bucket: string): string {
  return join(bucketDirectory(root, bucket), 'bucket.json');
}

/** The record of an object or of one version of it; its name does not show the key. */
export function versionPath(root: string, bucket: string, version: Version): string {
  const name = createHash('sha256').update(version.key).digest('hex');
  const directory = bucketDirectory(root, bucket);
  return version.versionId === undefined
    ? join(directory, 'objects', `${name}.json`)
    : join(directory, 'versions', name, `${version.versionId}.json`);
}

/** Where the records of an upload in progress are. */
export function uploadDirectory(root: string, bucket: string, uploadId: string): string {
  return join(bucketDirectory(root, bucket), 'uploads', uploadId);
}

/** An upload's own record. */
export function uploadPath(root: string, bucket: string, uploadId: string): string {
  return join(uploadDirectory(root, bucket, uploadId), 'upload.json');
}

/** An uploaded part's record. */
export function partPath(root: string, bucket: string, uploadId: string, partNumber: number): string {
  return join(uploadDirectory(root, bucket, uploadId), `part-${partNumber}.json`);
}

/** Writes a record so that a reader finds the old one or the new one, never half of one. */
export async function writeRecord(path: string, record: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  await writeFile(temporary, JSON.stringify(record), { mode: 0o600 });
  await rename(temporary, path);
}

async function readRecord<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.infer<Schema>> {
  const content: unknown = JSON.parse(await readFile(path, 'utf8'));
  return schema.parse(content);
}

async function names(directory: string, pattern: RegExp): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => pattern.test(name)).sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

async function readUpload(directory: string): Promise<UploadState> {
  const record: UploadRecord = await readRecord(join(directory, 'upload.json'), uploadSchema);
  const parts = new Map<number, PartRecord>();
  for (const name of await names(directory, /^part-\d+\.json$/)) {
    const part = await readRecord(join(directory, name), partSchema);
    parts.set(part.number, part);
  }
  return { record, parts };
}

async function loadVersions(directory: string, bucket: BucketState): Promise<void> {
  for (const file of await names(join(directory, 'objects'), /\.json$/)) {
    const object = await readRecord(join(directory, 'objects', file), objectSchema);
    bucket.objects.set(object.key, object);
  }
  for (const name of await names(join(directory, 'versions'), /./)) {
    for (const file of await names(join(directory, 'versions', name), /\.json$/)) {
      const version = await readRecord(join(directory, 'versions', name, file), versionSchema);
      const versions = [...versionsOf(bucket, version.key), version];
      versions.sort((left, right) => (right.sequence ?? 0) - (left.sequence ?? 0));
      setVersions(bucket, version.key, versions);
    }
  }
}

/** Reads every bucket back. @throws ZodError or SyntaxError when a record is damaged */
export async function loadBuckets(root: string): Promise<Map<string, BucketState>> {
  const buckets = new Map<string, BucketState>();
  for (const name of await names(join(root, 'buckets'), /./)) {
    const directory = bucketDirectory(root, name);
    if ((await names(directory, /^bucket\.json$/)).length === 0) {
      continue;
    }
    const { createdAt, configuration } = await readRecord(join(directory, 'bucket.json'), bucketSchema);
    const bucket = emptyBucket({ name, createdAt, configuration });
    await loadVersions(directory, bucket);
    for (const uploadId of await names(join(directory, 'uploads'), /./)) {
      if ((await names(join(directory, 'uploads', uploadId), /^upload\.json$/)).length > 0) {
        bucket.uploads.set(uploadId, await readUpload(join(directory, 'uploads', uploadId)));
      }
    }
    buckets.set(name, bucket);
  }
  return buckets;
}
