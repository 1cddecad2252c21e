/**
 * restore.json, beside the subvolumes that a restore has received: which backup goes where, and how far it is. By it a restore that
 * was stopped goes on, and nothing else takes what is there for its own.
 */
import { z } from 'zod';
import { strayName } from '../stream/rewrite/stray-directories.ts';

const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const transid = z.int().nonnegative();
const state = z.object({ uuid, transid });

/** A stream that was received whole and is on disk. */
const receivedSchema = z.object({
  manifest_key: z.string(),
  /** Name in the staging directory, of one byte. */
  name: z.string().regex(/^[a-z]$/),
  /** Of the subvolume itself, and what it was received as. */
  own_uuid: uuid,
  received_as: uuid,
  /** `ctransid` once all of it was on disk: what was changed since has a later one. */
  transid,
  /** What the stream said of itself, by which the next one is judged. */
  head: state.extend({ version: z.int(), parent: state.nullable() }),
  /** Attributes of the top directory that are set last, in base64 by name. */
  root_attributes: z.record(z.string(), z.string()),
  /** Empty directories at its top that the snapshot does not have. Earlier versions took no note of them: theirs stay. */
  stray_directories: z.array(z.string().regex(strayName)).default([]),
});

export const restoreFileSchema = z.object({
  version: z.literal(1),
  target: z.string(),
  subvolume: z.string(),
  bucket: z.string(),
  server: z.string(),
  started_at: z.string(),
  /** The backups of the chain, the full one first, each with a digest of the bytes that its manifest asks for. */
  chain: z.array(z.object({ manifest_key: z.string(), bytes_digest: z.string() })).min(1),
  /** Null until the first stream is received. */
  received: receivedSchema.nullable(),
  /** Directory with the parts of the stream under way; null without SPOOL_DIR. */
  kept_parts: z
    .string()
    .regex(/^\/.*\/btrfs-to-s3-restore-[0-9a-f-]{36}$/)
    .nullable(),
  /** With CONTINUE=1: the snapshot in SNAPSHOT_DIR, and the UUID of what it is taken of. */
  continued: z.object({ path: z.string(), taken_of: uuid }).nullable(),
  /** UUID of the subvolume that is or becomes TARGET; null until it is made. */
  target_uuid: uuid.nullable(),
});

export type RestoreFile = z.output<typeof restoreFileSchema>;

/** .btrfs-to-s3-restored.json, with ALL=1: the subvolumes that are in their places, by name: each one's UUID, and the backup that it is. */
export const restoredAllSchema = z.object({
  restored: z.record(z.string(), z.object({ uuid, bucket: z.string(), manifest_key: z.string() })),
});

export type RestoredAllFile = z.output<typeof restoredAllSchema>;
