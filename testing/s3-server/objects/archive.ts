/**
 * Archive classes: an object in GLACIER or DEEP_ARCHIVE can be read only while a restored copy exists
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html). GLACIER_IR is readable at once.
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

/** An object's state at a time, in milliseconds since the epoch. */
export function thawState(object: ObjectRecord, nowMs: number): ThawState {
  const { storageClass } = object.attributes;
  if (storageClass !== 'GLACIER' && storageClass !== 'DEEP_ARCHIVE') {
    return { kind: 'not-archived' };
  }
  if (object.restore === undefined || nowMs >= object.restore.expiresAtMs) {
    return { kind: 'archived' };
  }
  return nowMs < object.restore.readyAtMs
    ? { kind: 'thawing' }
    : { kind: 'thawed', expiresAtMs: object.restore.expiresAtMs };
}

/** Refuses to read an object that is still frozen. @throws S3Error InvalidObjectState */
export function requireReadable(object: ObjectRecord): void {
  const { kind } = thawState(object, Date.now());
  if (kind === 'archived' || kind === 'thawing') {
    throw new S3Error('InvalidObjectState', { elements: { StorageClass: object.attributes.storageClass } });
  }
}

/** The `x-amz-restore` header of GetObject and HeadObject, present once a restore was asked for. */
export function restoreHeaders(object: ObjectRecord): Record<string, string> {
  const state = thawState(object, Date.now());
  switch (state.kind) {
    case 'thawing':
      return { 'x-amz-restore': 'ongoing-request="true"' };
    case 'thawed': {
      const expiry = new Date(state.expiresAtMs).toUTCString();
      return { 'x-amz-restore': `ongoing-request="false", expiry-date="${expiry}"` };
    }
    default:
      return {};
  }
}

/** S3 keeps the copy for whole days and rounds up to the next midnight, UTC. */
function expiry(nowMs: number, days: number): number {
  return (Math.floor(nowMs / DAY_MS) + days + 1) * DAY_MS;
}

function readRequest(text: string, storageClass: string): { readonly days: number } {
  const parsed = restoreSchema.safeParse(parseDocument(text, 'RestoreRequest'));
  if (!parsed.success || parsed.data.Days === undefined) {
    throw new S3Error('MalformedXML');
  }
  const { Days: days, GlacierJobParameters, Tier } = parsed.data;
  const tier = GlacierJobParameters?.Tier ?? Tier ?? 'Standard';
  if (days < 1) {
    throw invalidArgument('Days', String(days), 'restoration days should be at least 1');
  }
  if (!['Standard', 'Bulk', 'Expedited'].includes(tier)) {
    throw new S3Error('MalformedXML');
  }
  if (tier === 'Expedited' && storageClass === 'DEEP_ARCHIVE') {
    throw invalidArgument('Tier', tier, 'Retrieval option is not supported by this storage class');
  }
  return { days };
}

/**
 * RestoreObject: 202 when a thaw begins, 200 when there is a copy already, whose end is then moved.
 * @throws S3Error NoSuchKey, InvalidObjectState for a class that is not archived, RestoreAlreadyInProgress, MalformedXML
 */
export async function restoreObject(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const text = await receiveText(call);
  const { versionId } = call.request.query;
  const { attributes } = call.store.object(bucket, key, versionId);
  const { days } = readRequest(text, attributes.storageClass);
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
    if (state.kind === 'thawing') {
      throw new S3Error('RestoreAlreadyInProgress');
    }
    status = state.kind === 'thawed' ? 200 : 202;
    const readyAtMs = state.kind === 'thawed' ? nowMs : nowMs + call.settings.thawDelayMs;
    return { ...object, restore: { readyAtMs, expiresAtMs: expiry(readyAtMs, days) } };
  });
  return { status };
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
