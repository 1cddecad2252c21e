/**
 * The fields of a manifest, version 1, and of the pointer `current.json`. The first group is shared with another tool and keeps its
 * meaning; the rest may be absent. Unknown fields are ignored.
 */
import { z } from 'zod';
import { S3_LIMITS } from '../stream/part-sizes.ts';
import { codecSchema } from './codec.ts';
import { frameSchema } from './frames.ts';
import { isSubvolumeName, parseTimestamp } from './names.ts';

/** Sealed digests that are larger are refused before age reads them: a million digests are 64 MB. */
const MAX_SEALED_CHARACTERS = 128 * 2 ** 20;

/** Nested subvolumes that a manifest names at most; a host with more, as docker makes them, names the first of them. */
export const MAX_NESTED = 1000;

const timestamp = z.string().refine((text) => parseTimestamp(text) !== undefined, 'is not YYYYMMDDTHHMMSSZ');
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'is not a UUID');
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in lower-case hex');
const sha256Base64 = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, 'is not a SHA-256 in base64');
const byteCount = z.int().nonnegative();
/** Keys and other words come into messages, so they must not carry anything that a terminal obeys. */
export const words = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'contains a control character');
const key = words(1024).min(1);
const kind = z.enum(['full', 'incremental']);
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const snapshotNamePattern = /^[^/\u0000-\u001f\u007f-\u009f]{1,255}$/;

/** True for a snapshot's name that a manifest can hold. */
export function isSnapshotName(name: string): boolean {
  return snapshotNamePattern.test(name) && name !== '.' && name !== '..';
}

const chunkSchema = z.object({
  key,
  size: z.int().positive().max(S3_LIMITS.maxObjectBytes),
  /** Of the object. Only of an encoded chunk that took several runs it is not known: its parts are what is checked. */
  sha256: sha256Hex.optional(),
  etag: words(1024).nullish(),
  part_size: z.int().positive().max(S3_LIMITS.maxPartBytes).optional(),
  parts: z.array(sha256Base64).min(1).max(S3_LIMITS.maxPartsPerObject).optional(),
  checksum: words(256).optional(),
  /** With a codec: its frames, in their order. Its parts are whole frames. */
  frames: z.array(frameSchema).min(1).max(S3_LIMITS.maxPartsPerObject).optional(),
});

export const manifestSchema = z.object({
  version: z.literal(1),
  subvolume: z.string().refine(isSubvolumeName, 'is not a subvolume name'),
  kind,
  created_at: timestamp,
  snapshot: z.object({
    name: z
      .string()
      .regex(snapshotNamePattern, 'is not a snapshot name')
      .refine(isSnapshotName, 'is not a snapshot name'),
    path: z.string().max(4096),
    /** Null in manifests of the Python tool `btrfs_to_s3`. */
    uuid: uuid.nullable(),
    /** UUID of the snapshot that an incremental stream was made against. */
    parent_uuid: uuid.nullish(),
    generation: z.int().nonnegative().optional(),
    /**
     * Modification time of the top directory, in seconds since 1970. An incremental stream that moves entries through the top
     * directory does not set it again (measured with kernel 6.18), so that restore has to. Programs that take milliseconds for seconds
     * make times of 13 digits.
     */
    mtime: z
      .string()
      .regex(/^-?\d{1,16}\.\d{9}$/, 'is not a number of seconds with nine decimals')
      .optional(),
    received_uuid: uuid.nullish(),
    /** `ctransid` of the snapshot, and of the parent that its stream was made against: the states of both. */
    transid: byteCount.optional(),
    parent_transid: byteCount.optional(),
    /**
     * The parent on this host was restored or received: a copy of the parent backup's snapshot, with its UUID, but in a state of its
     * own, which `parent_transid` is.
     */
    parent_continued: z.literal(true).optional(),
    /** UUID of the subvolume that it is a snapshot of. */
    source_uuid: uuid.optional(),
    /** Subvolumes that were below it, which no stream carries: paths below the subvolume. */
    nested: z
      .array(z.object({ path: z.string().max(4096), uuid }))
      .max(MAX_NESTED)
      .optional(),
  }),
  parent_manifest: key.nullable(),
  chunks: z.array(chunkSchema).min(1).max(100_000),
  total_bytes: z.int().positive(),
  chunk_size: z.int().positive(),
  s3: z.object({
    storage_class: words(64).nullish(),
    bucket: words(256).optional(),
    region: words(256).nullish(),
    sse: words(64).optional(),
  }),
  stream: z
    .object({
      bytes: byteCount,
      /** With encryption it stands in `sealed` alone. */
      sha256: sha256Hex.optional(),
      protocol: z.int().min(1).max(99),
      compressed_data: z.boolean(),
      /** Bytes of the smallest metadata node (mkfs.btrfs -n) that holds the largest attribute or link of the stream; 0 without any. */
      least_node_size: byteCount.optional(),
      /** What not every mount takes: `acl`, `compression` (the property). */
      features: z.array(words(32)).max(32).readonly().optional(),
    })
    .optional(),
  codec: codecSchema.optional(),
  /** With encryption: an age file, in base64, of the digests of the plain bytes (`sealed-digests.ts`). */
  sealed: z
    .string()
    .max(MAX_SEALED_CHARACTERS)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/, 'is not base64')
    .optional(),
  host: words(256).optional(),
  /** Of the machine, as `host-identity.ts` derives it from its machine-id; and of the filesystem that was backed up. */
  host_id: words(64).optional(),
  filesystem_uuid: words(64).optional(),
  /** What wrote it; `programs` are those of the codec, with their versions. */
  tool: z
    .object({ name: words(64), version: words(64), programs: z.record(words(64), words(256)).optional() })
    .optional(),
  timing: z.object({ started_at: words(64), finished_at: words(64) }).optional(),
});

export const pointerSchema = z.object({ manifest_key: key, kind, created_at: timestamp });

export type Manifest = z.output<typeof manifestSchema>;
export type ManifestChunk = Manifest['chunks'][number];
export type Pointer = z.output<typeof pointerSchema>;

/** A manifest with the key it was read from. */
export interface StoredManifest {
  readonly key: string;
  readonly manifest: Manifest;
}
