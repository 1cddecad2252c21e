/** The files under RUN_DIR/<subvolume>/ by which one stage hands over to the next. */
import { z } from 'zod';
import { S3_LIMITS } from '../stream/part-sizes.ts';
import { codecSchema } from './codec.ts';
import { frameSchema } from './frames.ts';
import { isSubvolumeName, parseTimestamp, snapshotName } from './names.ts';

const kind = z.enum(['full', 'incremental']);
/** What a file may not lead us away from: these values become keys, and paths of what is sent or deleted. */
const subvolume = z.string().refine(isSubvolumeName, 'is not a subvolume name');
const timestamp = z.string().refine((text) => parseTimestamp(text) !== undefined, 'is not YYYYMMDDTHHMMSSZ');
const byteCount = z.int().positive();
const chunkIndex = z.int().nonnegative();

/** snapshot.json: what is to be sent, and what the bucket looked like while that was decided. */
export const snapshotFileSchema = z
  .object({
    subvolume,
    kind,
    created_at: timestamp,
    /** Another program made the snapshot: it is sent, and never deleted. */
    adopted: z.literal(true).optional(),
    snapshot: z.object({
      name: z.string(),
      path: z.string(),
      uuid: z.string(),
      parent_uuid: z.string().nullable(),
      received_uuid: z.string().nullable(),
      generation: z.int(),
      /** UUID of the subvolume that it is a snapshot of. */
      source_uuid: z.string().optional(),
      /** Subvolumes below it, which are not sent: paths below the subvolume. */
      nested: z.array(z.object({ path: z.string(), uuid: z.string() })).optional(),
      /** Modification time of the snapshot's top directory: seconds since 1970, with nanoseconds. */
      mtime: z.string().optional(),
    }),
    parent: z
      .object({
        path: z.string(),
        uuid: z.string(),
        generation: z.int(),
        manifest_key: z.string(),
        /** The UUID by which its streams name it: its received one, where it has one. */
        stream_uuid: z.string().optional(),
        /** The state in which it was backed up, and has to be still: `ctransid`. */
        transid: z.int().nonnegative().optional(),
        /** It is a copy of the backup's snapshot, which was restored or received. */
        continued: z.literal(true).optional(),
      })
      .nullable(),
    filesystem_uuid: z.string().optional(),
    /** ETag of current.json while planning, or null when there was none: the precondition of publishing. */
    pointer_etag: z.string().nullable(),
    started_at: z.string(),
  })
  .refine(isOfOwnSnapshot, 'names a snapshot that is not the one of its subvolume, time and kind');

function isOfOwnSnapshot(file: {
  readonly subvolume: string;
  readonly created_at: string;
  readonly kind: 'full' | 'incremental';
  readonly adopted?: true | undefined;
  readonly snapshot: { readonly name: string; readonly path: string };
}): boolean {
  const { name, path } = file.snapshot;
  const isOurs = name === snapshotName(file.subvolume, file.created_at, file.kind);
  return (isOurs || file.adopted === true) && path.startsWith('/') && path.endsWith(`/${name}`);
}

export type SnapshotFile = z.output<typeof snapshotFileSchema>;

/** A frame as it was stored, and what it was made of: by that it is known again. Plain digests never leave this host in the clear. */
const storedFrame = frameSchema.extend({ plain_sha256: z.string() });

export type StoredFrame = z.output<typeof storedFrame>;

const partNumber = z.int().min(1).max(S3_LIMITS.maxPartsPerObject);

const storedPart = z.object({
  number: partNumber,
  size: byteCount.max(S3_LIMITS.maxPartBytes),
  sha256: z.string(),
  etag: z.string(),
  /** With a codec: the number in its chunk, from 0, of the first frame in it, and its frames. */
  first_frame: z.int().nonnegative().optional(),
  frames: z.array(storedFrame).min(1).optional(),
});

export type StoredPart = z.output<typeof storedPart>;

const storedChunk = z.object({
  index: chunkIndex,
  key: z.string(),
  size: byteCount.max(S3_LIMITS.maxObjectBytes),
  /** Not known of an encoded chunk of which an earlier run stored a part. */
  sha256: z.string().optional(),
  etag: z.string(),
  part_size: byteCount.max(S3_LIMITS.maxPartBytes),
  parts: z.array(z.string()).min(1).max(S3_LIMITS.maxPartsPerObject),
  checksum: z.string().optional(),
  frames: z.array(storedFrame).min(1).optional(),
});

export type StoredChunk = z.output<typeof storedChunk>;

/** What must be the same for the bytes of an earlier run to be of use to this one. */
const uploadIdentity = z.object({
  snapshot_uuid: z.string(),
  parent_uuid: z.string().nullable(),
  server: z.string(),
  bucket: z.string(),
  prefix: z.string(),
  storage_class: z.string(),
  sse: z.string(),
  chunk_size: byteCount,
  part_size: byteCount,
  /** How parts are vouched for, where it is not by their SHA-256: S3 takes no part of an upload that was begun otherwise. */
  checksums: z.literal('md5').optional(),
  /** Journals of versions before the codec do not say these. */
  compress: codecSchema.shape.compress.default('none'),
  /** For whom its frames were encrypted, comma-separated; empty where they were not. */
  encrypt_to: z.string().default(''),
});

export type UploadIdentity = z.output<typeof uploadIdentity>;

/** upload.jsonl: one line per event. */
export const journalEventSchema = z.discriminatedUnion('event', [
  uploadIdentity.extend({ event: z.literal('upload-begun') }),
  z.object({ event: z.literal('chunk-begun'), index: chunkIndex, key: z.string(), upload_id: z.string() }),
  storedPart.extend({ event: z.literal('part-stored'), index: chunkIndex }),
  /** The stream is no longer what these were made of: they are not used again. Part numbers, both included. */
  z.object({ event: z.literal('parts-forgotten'), index: chunkIndex, from: partNumber, to: partNumber }),
  storedChunk.extend({ event: z.literal('chunk-completed') }),
]);

export type JournalEvent = z.output<typeof journalEventSchema>;

/** chunks.json: the finished upload. With the identity of this upload, every byte of the stream was stored. */
export const chunksFileSchema = z.object({
  identity: uploadIdentity,
  chunks: z.array(storedChunk).min(1),
  chunk_size: byteCount,
  stream: z.object({
    bytes: byteCount,
    /** With encryption it is in `sealed` alone. */
    sha256: z.string().optional(),
    protocol: z.int(),
    compressed_data: z.boolean(),
    /** What it demands of where it is received; files of earlier versions do not say. */
    least_node_size: z.int().nonnegative().optional(),
    features: z.array(z.string()).readonly().optional(),
    /** What the stream says of its snapshot and of the parent that it has to be applied to. */
    transid: z.int().nonnegative().optional(),
    parent_transid: z.int().nonnegative().optional(),
    /** Of the top directory when it was sent; it may have been another one when the backup was planned. */
    mtime: z.string().optional(),
  }),
  /** With encryption: the digests of the plain bytes, for those who may read them (`sealed-digests.ts`). */
  sealed: z.string().optional(),
  /** The programs of the codec, with their versions. */
  programs: z.record(z.string(), z.string()).optional(),
  /** Bytes of the stream that were sent a second, where enough were to tell. */
  rate: z.number().positive().optional(),
  started_at: z.string(),
  finished_at: z.string(),
});

export type ChunksFile = z.output<typeof chunksFileSchema>;

/**
 * pruning.json: the manifests that a prune has removed, or was about to. What is left below them is an orphan, and
 * needs not wait as other chunks without a manifest do. Without it nothing goes wrong.
 */
export const pruningFileSchema = z.object({
  server: z.string(),
  bucket: z.string(),
  prefix: z.string(),
  manifest_keys: z.array(z.string()),
});

export type PruningFile = z.output<typeof pruningFileSchema>;

/**
 * taken.json: the snapshots that were taken from this RUN_DIR, and for where. Other settings files may take snapshots of the same name into
 * the same SNAPSHOT_DIR. Losing it costs nothing but that what was never published stays.
 */
export const takenFileSchema = z.object({
  snapshots: z.array(
    z.object({ uuid: z.string(), server: z.string(), bucket: z.string(), prefix: z.string() }),
  ),
});

export type TakenFile = z.output<typeof takenFileSchema>;

/**
 * published.json: the last backup that was published from this RUN_DIR, and where. It helps to distinguish this host's backups from those of
 * another one with the same name; losing it costs nothing else.
 */
export const publishedFileSchema = z.object({
  manifest_key: z.string(),
  published_at: z.string(),
  server: z.string().optional(),
  bucket: z.string().optional(),
  prefix: z.string().optional(),
  /** Bytes a second at which the last upload was sent, where that was long enough to measure. */
  upload_rate: z.number().positive().optional(),
});

export type PublishedFile = z.output<typeof publishedFileSchema>;

/**
 * continued.json: a backup that was restored here to continue its chain, until the next backup builds on it. It is what says that this
 * host may: `last_manifest_key` is what `current.json` named then. Losing it costs a look at every file of the snapshot.
 */
export const continuedFileSchema = z.object({
  manifest_key: z.string(),
  last_manifest_key: z.string().nullable(),
  continued_at: z.string(),
  server: z.string(),
  bucket: z.string(),
  /** The snapshot in SNAPSHOT_DIR, and its state (`ctransid`) when it was put there. */
  snapshot_uuid: z.string(),
  transid: z.int().nonnegative(),
});

export type ContinuedFile = z.output<typeof continuedFileSchema>;
