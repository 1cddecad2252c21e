/** What a drill found, as it stands in the bucket under `drill/`. Read from there it is untrusted input, and bounded. */
import { z } from 'zod';
import { isSubvolumeName, parseTimestamp } from './names.ts';

const words = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'contains a control character');

/** Characters of a proof or a problem. */
export const MAX_DRILL_TEXT = 4096;

export const drillRecordSchema = z.object({
  version: z.literal(1),
  subvolume: z.string().refine(isSubvolumeName, 'is not a subvolume name'),
  /** The backup that was restored: key of its manifest, and its time. */
  manifest_key: words(1024).min(1),
  created_at: z.string().refine((text) => parseTimestamp(text) !== undefined, 'is not YYYYMMDDTHHMMSSZ'),
  /** Backups of its chain, and bytes that were fetched. */
  backups: z.int().positive(),
  bytes: z.int().nonnegative(),
  /** `started` is not finished, or was killed; `failed` proves nothing of the backup. */
  result: z.enum(['started', 'sound', 'damaged', 'failed']),
  /** What was proved, in sentences; empty where it is not sound. */
  proofs: z.array(words(MAX_DRILL_TEXT)).max(16),
  /** What is damaged, or failed. */
  problem: words(MAX_DRILL_TEXT).nullable(),
  host: words(256),
  host_id: words(64).optional(),
  tool: z.object({ name: words(64), version: words(64) }),
  started_at: z.iso.datetime(),
  finished_at: z.iso.datetime().nullable(),
});

export type DrillRecord = z.output<typeof drillRecordSchema>;

/** A record is a page of text; anything larger is none. */
export const MAX_DRILL_BYTES = 262_144;

/** Reads a record; undefined for what is none. */
export function parseDrillRecord(text: string): DrillRecord | undefined {
  try {
    return drillRecordSchema.safeParse(JSON.parse(text)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** True for one that says something of the backup. */
export function isConclusive({ result }: DrillRecord): boolean {
  return result === 'sound' || result === 'damaged';
}
