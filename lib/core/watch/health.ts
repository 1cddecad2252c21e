/** How the backups of a subvolume are, as far as the bucket shows. It is kept in RUN_DIR/@watch/ for when the bucket cannot be asked. */
import { z } from 'zod';

const kind = z.enum(['full', 'incremental']);

const subvolumeHealthSchema = z.object({
  /** When the bucket was asked, as ISO 8601; so are the other times. */
  looked_at: z.string(),
  /** The backup that `current.json` names; null where there is none. */
  newest: z.object({ kind, created_at: z.string(), bytes: z.number(), manifest_key: z.string() }).nullable(),
  /** Its chain: how many backups a restore needs, their bytes, and when the full one was made. */
  chain: z.object({ backups: z.number(), bytes: z.number(), full_at: z.string() }).nullable(),
  /** Why the newest backup cannot be restored; null where nothing is known to be wrong. */
  why_not: z.string().nullable(),
  /** When the next backup is due, by FULL_EVERY and INCREMENTAL_EVERY. */
  due: z.object({ kind, at: z.string() }).nullable(),
  /** Of all objects below the subvolume, by storage class. */
  stored_bytes: z.record(z.string(), z.number()),
  /** What storing them costs a month; null where no price is known. */
  dollars_per_month: z.number().nullable(),
  /** The newest drill that came to a conclusion, and the time of the backup that it restored. */
  drill: z.object({ at: z.string(), created_at: z.string(), is_sound: z.boolean() }).nullable(),
  /** How many of this host failed since, when the newest of them began, and why it failed; null where none did. Earlier versions did not say. */
  drills_failed: z
    .object({ count: z.number(), at: z.string(), problem: z.string().nullable() })
    .nullable()
    .default(null),
});

export const healthFileSchema = z.object({
  version: z.literal(1),
  /** Which bucket and prefix. */
  place: z.string(),
  subvolumes: z.record(z.string(), subvolumeHealthSchema),
});

export type SubvolumeHealth = z.output<typeof subvolumeHealthSchema>;
export type HealthFile = z.output<typeof healthFileSchema>;
