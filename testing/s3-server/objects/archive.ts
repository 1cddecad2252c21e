/**
 * Archive classes: an object in GLACIER or DEEP_ARCHIVE can be read only while a restored copy exists
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html); one that Intelligent-Tiering has archived moves out of its
 * tier when it is restored. GLACIER_IR is readable at once.
 */
import { z } from 'zod';
import { type Call, type S3Response, target } from '../http/call.ts';
import { receiveText } from '../http/document.ts';
import { invalidArgument, S3Error } from '../http/errors.ts';
import { parseDocument } from '../http/xml.ts';
import type { ObjectRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Where an object stands: never archived, archived, being restored, or readable until a time. */
export type ThawState =
  | { readonly kind: 'not-archived' | 'archived' | 'thawing' }
  | { readonly kind: 'thawed'; readonly expiresAtMs: number };

const restoreSchema = z.object({
  Days: z.coerce.number().int().optional(),
  Tier: z.string().optional(),
  GlacierJobParameters: z.object({ Tier: z.string() }).optional(),
});

/** The archive that an object lies in; undefined when it can be read directly. */
function archiveOf({ attributes: { storageClass }, accessTier }: ObjectRecord): string | undefined {
  if (storageClass === 'INTELLIGENT_TIERING') return accessTier;
  return storageClass === 'GLACIER' || storageClass === 'DEEP_ARCHIVE' ? storageClass : undefined;
}

/** An object's state at a time, in milliseconds since the epoch. */
export function thawState(object: ObjectRecord, nowMs: number): ThawState {
  if (archiveOf(object) === undefined) {
    return { kind: 'not-archived' };
  }
  if (object.restore === undefined || nowMs >= object.restore.expiresAtMs) {
    return { kind: 'archived' };
  }
  if (nowMs < object.restore.readyAtMs) {
    return { kind: 'thawing' };
  }
  return object.accessTier === undefined
    ? { kind: 'thawed', expiresAtMs: object.restore.expiresAtMs }
    : { kind: 'not-archived' };
}

/** Refuses to read an object that is still frozen. @throws S3Error InvalidObjectState */
export function requireReadable(object: ObjectRecord): void {
  const { kind } = thawState(object, Date.now());
  if (kind === 'archived' || kind === 'thawing') {
    const tier: Record<string, string> =
      object.accessTier === undefined ? {} : { AccessTier: object.accessTier };
    throw new S3Error('InvalidObjectState', {
      elements: { StorageClass: object.attributes.storageClass, ...tier },
    });
  }
}

/**
 * The `x-amz-restore` header of GetObject and HeadObject, present once a restore was requested, and the one that names a tier of
 * Intelligent-Tiering.
 */
export function restoreHeaders(object: ObjectRecord): Record<string, string> {
  const state = thawState(object, Date.now());
  const inTier = object.accessTier !== undefined && state.kind !== 'not-archived';
  const tier: Record<string, string> = inTier ? { 'x-amz-archive-status': object.accessTier ?? '' } : {};
  switch (state.kind) {
    case 'thawing':
      return { ...tier, 'x-amz-restore': 'ongoing-request="true"' };
    case 'thawed': {
      const expiry = new Date(state.expiresAtMs).toUTCString();
      return { 'x-amz-restore': `ongoing-request="false", expiry-date="${expiry}"` };
    }
    default:
      return tier;
  }
}

/** S3 keeps the copy for whole days and rounds up to the next midnight, UTC. */
function expiry(nowMs: number, days: number): number {
  return (Math.floor(nowMs / DAY_MS) + days + 1) * DAY_MS;
}

/** From slow to fast. */
const tiers = ['Bulk', 'Standard', 'Expedited'];

function readRequest(text: string, object: ObjectRecord): { readonly days: number; readonly tier: string } {
  const parsed = restoreSchema.safeParse(parseDocument(text, 'RestoreRequest'));
  if (!parsed.success) {
    throw new S3Error('MalformedXML');
  }
  const { Days: days, GlacierJobParameters, Tier } = parsed.data;
  const tier = GlacierJobParameters?.Tier ?? Tier ?? 'Standard';
  const hasExpiry = object.accessTier === undefined;
  if (!hasExpiry && days !== undefined) {
    const message = 'INTELLIGENT_TIERING objects are not subject to restore expiry. Do not specify Days';
    throw invalidArgument('Days', String(days), message);
  }
  if (hasExpiry && days === undefined) {
    throw new S3Error('MalformedXML');
  }
  if (days !== undefined && days < 1) {
    throw invalidArgument('Days', String(days), 'restoration days should be at least 1');
  }
  if (!tiers.includes(tier)) {
    throw new S3Error('MalformedXML');
  }
  if (tier === 'Expedited' && archiveOf(object)?.startsWith('DEEP_ARCHIVE')) {
    throw invalidArgument('Tier', tier, 'Retrieval option is not supported by this storage class');
  }
  return { days: days ?? foreverDays, tier };
}

/** What Intelligent-Tiering has moved back stays: a hundred years. */
const foreverDays = 36_500;

/** A restore under way may be asked for in a faster tier, with all else as it was ("restore speed upgrade" of RestoreObject). */
function isUpgrade(
  before: ObjectRecord['restore'],
  asked: { readonly days: number; readonly tier: string },
): boolean {
  return before?.days === asked.days && tiers.indexOf(asked.tier) > tiers.indexOf(before.tier ?? 'Expedited');
}

/**
 * RestoreObject: 202 when a thaw begins, or is to be faster, 200 when there is a copy already, whose end is then moved.
 * @throws S3Error NoSuchKey, InvalidObjectState for a class that is not archived, RestoreAlreadyInProgress, MalformedXML
 */
export async function restoreObject(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const text = await receiveText(call);
  const { versionId } = call.request.query;
  const { attributes } = call.store.object(bucket, key, versionId);
  const asked = readRequest(text, call.store.object(bucket, key, versionId));
  const nowMs = Date.now();
  let status = 202;
  await call.store.updateObject(bucket, key, versionId, (object) => {
    const state = thawState(object, nowMs);
    if (state.kind === 'not-archived') {
      throw new S3Error('InvalidObjectState', {
        message: "Restore is not allowed for the object's current storage class",
        elements: { StorageClass: attributes.storageClass },
      });
    }
    if (state.kind === 'thawing' && !isUpgrade(object.restore, asked)) {
      throw new S3Error('RestoreAlreadyInProgress');
    }
    status = state.kind === 'thawed' ? 200 : 202;
    const soonestMs = state.kind === 'thawed' ? nowMs : nowMs + call.settings.thawDelayMs;
    const readyAtMs =
      state.kind === 'thawing' ? Math.min(soonestMs, object.restore?.readyAtMs ?? 0) : soonestMs;
    return { ...object, restore: { readyAtMs, expiresAtMs: expiry(readyAtMs, asked.days), ...asked } };
  });
  return { status };
}

/** Archives objects of Intelligent-Tiering, as months without a reader would. */
export async function archiveByTiering(
  store: Store,
  isMeant: (key: string) => boolean,
  accessTier: 'ARCHIVE_ACCESS' | 'DEEP_ARCHIVE_ACCESS',
): Promise<void> {
  for (const { name, objects } of store.buckets()) {
    for (const { key, attributes } of objects.values()) {
      if (attributes.storageClass !== 'INTELLIGENT_TIERING' || !isMeant(key)) continue;
      await store.updateObject(name, key, undefined, ({ restore: _, ...object }) => ({
        ...object,
        accessTier,
      }));
    }
  }
}

/** Makes every thaw that is under way end now, or every thawed copy go now: for tests, which cannot wait for days. */
export async function moveThaws(store: Store, to: 'finish' | 'expire'): Promise<void> {
  for (const { name, objects } of store.buckets()) {
    for (const { key } of objects.values()) {
      await store.updateObject(name, key, undefined, (object) => {
        const { kind } = thawState(object, Date.now());
        if (!object.restore || kind !== (to === 'finish' ? 'thawing' : 'thawed')) return object;
        const at = to === 'finish' ? { readyAtMs: Date.now() } : { expiresAtMs: Date.now() };
        return { ...object, restore: { ...object.restore, ...at } };
      });
    }
  }
}
