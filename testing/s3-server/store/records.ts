/** What is kept of buckets, objects and uploads, as written to disk; a restarted server reads the same shapes back. */
import { z } from 'zod';
import { CHECKSUM_ALGORITHMS } from '../http/checksums.ts';

/** What a client says about an object besides its bytes; given at PutObject or CreateMultipartUpload. */
const attributesSchema = z.object({
  storageClass: z.string(),
  sse: z.object({ algorithm: z.enum(['AES256', 'aws:kms']), kmsKeyId: z.string().optional() }),
  /** Content-Type and the like, by lower-case name. */
  contentHeaders: z.record(z.string(), z.string()),
  /** The x-amz-meta-* headers, by lower-case whole name. */
  userMetadata: z.record(z.string(), z.string()),
});

const checksumTypeSchema = z.enum(['FULL_OBJECT', 'COMPOSITE']);

const checksumSchema = z.object({
  algorithm: z.enum(CHECKSUM_ALGORITHMS),
  value: z.string(),
  type: checksumTypeSchema,
});

const blobSchema = z.object({ id: z.uuid(), sizeBytes: z.int().nonnegative() });

/** One part of a finished multipart object; its bytes are the blob at the same place of the object's list. */
const objectPartSchema = z.object({
  number: z.int().min(1).max(10000),
  sizeBytes: z.int().nonnegative(),
  /** Without its quotes. */
  etag: z.string().optional(),
  /** base64, of the object's checksum algorithm. */
  checksum: z.string().optional(),
});

/** Until when, and how firmly, a version is kept from being deleted. */
const retentionSchema = z.object({
  mode: z.enum(['COMPLIANCE', 'GOVERNANCE']),
  retainUntil: z.iso.datetime(),
});

/** What is set on a bucket as a whole. */
const configurationSchema = z.object({
  /** The lifecycle configuration as it is given back, an XML document. */
  lifecycle: z.string().optional(),
  /** Once on it stays on; suspending it is not implemented. */
  versioning: z.literal('Enabled').optional(),
  /** There when Object Lock is on, with what a new version is given that brings no retention of its own. */
  objectLock: z
    .object({
      defaultRetention: z
        .object({
          mode: retentionSchema.shape.mode,
          unit: z.enum(['Days', 'Years']),
          count: z.int().positive(),
        })
        .optional(),
    })
    .optional(),
});

/** A bucket's record. */
export const bucketSchema = z.object({
  name: z.string(),
  createdAt: z.iso.datetime(),
  configuration: configurationSchema.default({}),
});

/** An object's record. */
export const objectSchema = z.object({
  key: z.string(),
  sizeBytes: z.int().nonnegative(),
  /** Without its quotes. */
  etag: z.string(),
  lastModified: z.iso.datetime(),
  attributes: attributesSchema,
  checksum: checksumSchema.optional(),
  /** The object's bytes are these blobs one after the other: one for PutObject, one a part for a multipart upload. */
  blobs: z.array(blobSchema),
  /** Of a multipart object; missing from records older than this field. */
  parts: z.array(objectPartSchema).optional(),
  /** The upload it was completed from, by which a repeated CompleteMultipartUpload is known. */
  uploadId: z.string().optional(),
  /** Set while a copy out of an archive class was asked for; times in milliseconds since the epoch. */
  restore: z
    .object({
      readyAtMs: z.number(),
      expiresAtMs: z.number(),
      /** As it was asked for; missing from records older than these fields. */
      tier: z.string().optional(),
      days: z.number().optional(),
    })
    .optional(),
  /** Where Intelligent-Tiering has archived it; it moves out of there when it is restored. */
  accessTier: z.enum(['ARCHIVE_ACCESS', 'DEEP_ARCHIVE_ACCESS']).optional(),
  /** Missing from what was put while the bucket had no versioning. */
  versionId: z.string().optional(),
  /** Grows from version to version of a key. */
  sequence: z.int().optional(),
  retention: retentionSchema.optional(),
});

/** The record of a delete, in a bucket that keeps versions. */
const deleteMarkerSchema = z.object({
  key: z.string(),
  deleteMarker: z.literal(true),
  versionId: z.string(),
  sequence: z.int(),
  lastModified: z.iso.datetime(),
});

/** The record of a version, whichever it is. */
export const versionSchema = z.union([deleteMarkerSchema, objectSchema]);

/** The record of a multipart upload in progress. */
export const uploadSchema = z.object({
  uploadId: z.string(),
  key: z.string(),
  initiatedAt: z.iso.datetime(),
  attributes: attributesSchema,
  checksumAlgorithm: z.enum(CHECKSUM_ALGORITHMS).optional(),
  checksumType: checksumTypeSchema.optional(),
  retention: retentionSchema.optional(),
});

/** The record of one uploaded part. */
export const partSchema = z.object({
  number: z.int().min(1).max(10000),
  etag: z.string(),
  lastModified: z.iso.datetime(),
  /** base64, of the upload's checksum algorithm. */
  checksum: z.string().optional(),
  blob: blobSchema,
});

export type BucketConfiguration = z.infer<typeof configurationSchema>;
export type ObjectAttributes = z.infer<typeof attributesSchema>;
export type Checksum = z.infer<typeof checksumSchema>;
export type ObjectPart = z.infer<typeof objectPartSchema>;
export type BlobReference = z.infer<typeof blobSchema>;
export type ObjectRecord = z.infer<typeof objectSchema>;
export type Retention = z.infer<typeof retentionSchema>;
export type DeleteMarker = z.infer<typeof deleteMarkerSchema>;
export type Version = ObjectRecord | DeleteMarker;
export type UploadRecord = z.infer<typeof uploadSchema>;
export type PartRecord = z.infer<typeof partSchema>;

/** A multipart upload in progress. */
export interface UploadState {
  readonly record: UploadRecord;
  readonly parts: Map<number, PartRecord>;
}

/** A bucket and all that is in it. */
export interface BucketState {
  readonly name: string;
  readonly createdAt: string;
  configuration: BucketConfiguration;
  /** What a reader finds under a key. */
  readonly objects: Map<string, ObjectRecord>;
  /** Of the keys that were written to under versioning, every version, newest first. */
  readonly versions: Map<string, readonly Version[]>;
  readonly uploads: Map<string, UploadState>;
}

/** A bucket with nothing in it. */
export function emptyBucket(record: z.infer<typeof bucketSchema>): BucketState {
  return { ...record, objects: new Map(), versions: new Map(), uploads: new Map() };
}

/** The time now in whole seconds, the resolution of times in S3, as an ISO 8601 text. */
export function timestamp(): string {
  return new Date(Math.floor(Date.now() / 1000) * 1000).toISOString();
}
