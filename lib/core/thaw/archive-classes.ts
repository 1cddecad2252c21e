/**
 * Archive classes: what must be thawed before it can be read, how long that takes, and what the bucket says of an object's
 * thaw. The facts are of https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html.
 */

/** How fast a thaw is, from dear to cheap, in S3's words. */
export const thawTiers = ['Expedited', 'Standard', 'Bulk'] as const;
export type ThawTier = (typeof thawTiers)[number];

/** How an object is archived. Intelligent-Tiering's archive tiers behave like the class, but their copies have no end. */
export type Archive = 'GLACIER' | 'DEEP_ARCHIVE' | 'ARCHIVE_ACCESS' | 'DEEP_ARCHIVE_ACCESS';

/** Whether an object can be read: always, for a while, soon, or only after a request. */
export type ThawState =
  | { readonly kind: 'readable' }
  /** `expiresAtMs`: when the copy goes, in milliseconds since the epoch; undefined where the bucket does not say. */
  | { readonly kind: 'thawed'; readonly archive: Archive; readonly expiresAtMs: number | undefined }
  /** `tier`: in which this run asked for it; undefined where an earlier one did, since the bucket does not show it. */
  | { readonly kind: 'thawing'; readonly archive: Archive; readonly tier?: ThawTier }
  | { readonly kind: 'cold'; readonly archive: Archive };

const archives: readonly string[] = ['GLACIER', 'DEEP_ARCHIVE', 'ARCHIVE_ACCESS', 'DEEP_ARCHIVE_ACCESS'];

/**
 * How an object is archived, from its storage class and, for Intelligent-Tiering, its archive status; undefined when it can be
 * read as it is, as in GLACIER_IR and STANDARD_IA.
 */
export function archiveOf(storageClass: string, archiveStatus?: string): Archive | undefined {
  const name = storageClass === 'INTELLIGENT_TIERING' ? (archiveStatus ?? '') : storageClass;
  return archives.includes(name) ? (name as Archive) : undefined;
}

/** The state of a thaw, as the bucket reports it; undefined where none was requested, or the copy has expired. */
export interface ToldThaw {
  readonly isInProgress: boolean;
  readonly expiresAtMs: number | undefined;
}

/** An object's state, from how it is archived and what the bucket reports of its thaw. */
export function thawStateOf(archive: Archive | undefined, reported: ToldThaw | undefined): ThawState {
  if (archive === undefined) return { kind: 'readable' };
  if (reported === undefined) return { kind: 'cold', archive };
  return reported.isInProgress
    ? { kind: 'thawing', archive }
    : { kind: 'thawed', archive, expiresAtMs: reported.expiresAtMs };
}

/**
 * Reads the header `x-amz-restore`: `ongoing-request="true"`, or `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 …"`
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
 */
export function parseRestoreHeader(header: string | undefined): ToldThaw | undefined {
  const ongoing = /ongoing-request="(true|false)"/.exec(header ?? '')?.[1];
  if (ongoing === undefined) return undefined;
  const date = Date.parse(/expiry-date="([^"]+)"/.exec(header ?? '')?.[1] ?? '');
  return { isInProgress: ongoing === 'true', expiresAtMs: Number.isNaN(date) ? undefined : date };
}

const [minute, hour] = [60, 3600];

/** Seconds from the request to a copy that can be read: at best and at worst, for all but the largest requests. */
const deep = { Expedited: undefined, Standard: [0, 12 * hour], Bulk: [0, 48 * hour] } as const;
const flexible = {
  Expedited: [minute, 5 * minute],
  Standard: [3 * hour, 5 * hour],
  Bulk: [5 * hour, 12 * hour],
} as const;
const thawSeconds = {
  GLACIER: flexible,
  ARCHIVE_ACCESS: flexible,
  DEEP_ARCHIVE: deep,
  DEEP_ARCHIVE_ACCESS: deep,
} as const;

/** Seconds that a thaw takes, at best and at worst; undefined when the archive has no such tier. */
export function thawTime(archive: Archive, tier: ThawTier): readonly [number, number] | undefined {
  return thawSeconds[archive][tier];
}

/** The command by which a person requests a thaw. Intelligent-Tiering refuses a number of days. */
export function restoreCommand(bucket: string, key: string, archive: Archive | undefined): string {
  const days = archive === undefined || hasExpiry(archive) ? '"Days":7,' : '';
  const request = `'{${days}"GlacierJobParameters":{"Tier":"Standard"}}'`;
  return `aws s3api restore-object --bucket ${bucket} --key ${key} --restore-request ${request}`;
}

/** True when a thawed copy ends by itself, so that a request has to say after how many days. */
export function hasExpiry(archive: Archive): boolean {
  return archive === 'GLACIER' || archive === 'DEEP_ARCHIVE';
}
