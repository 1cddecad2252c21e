/** Thaws in the bucket: requests them, and reads their state. Nothing of it is kept on this host. */
import { RestoreObjectCommand } from '@aws-sdk/client-s3';
import pMap from 'p-map';
import {
  archiveOf,
  hasExpiry,
  type ThawState,
  type ThawTier,
  thawStateOf,
} from '../../core/thaw/archive-classes.ts';
import type { ColdObject } from '../../core/thaw/thaw-plan.ts';
import { headObject, type ListedObject } from './objects.ts';
import { send } from './requests/send.ts';
import type { Bucket } from './s3-client.ts';
import { isNamed } from './s3-errors.ts';

/** A request. `days` is how long the copy stays. */
export interface ThawTerms {
  readonly tier: ThawTier;
  readonly days: number;
}

/**
 * The outcome of a request: `requested` is charged for; `under way` was requested before; `needless` can be read by now;
 * `unknown` is the answer of a server that keeps the name of an archive class, but does not support RestoreObject.
 */
export type ThawAnswer = 'requested' | 'under way' | 'needless' | 'unknown';

/**
 * Requests a thawed copy of an object, or a longer stay of an existing one
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html).
 * @throws ToolError when it is refused.
 */
export async function requestThaw(
  bucket: Bucket,
  { key, archive }: ColdObject,
  { tier, days }: ThawTerms,
): Promise<ThawAnswer> {
  const RestoreRequest = { ...(hasExpiry(archive) && { Days: days }), GlacierJobParameters: { Tier: tier } };
  const command = new RestoreObjectCommand({ Bucket: bucket.name, Key: key, RestoreRequest });
  try {
    await send(bucket, `request the thaw of ${key}`, command);
    return 'requested';
  } catch (error) {
    if (isNamed(error, 'RestoreAlreadyInProgress')) return 'under way';
    // S3's answer to a request for an object in a class that needs none, such as one that a copy has moved out meanwhile.
    if (isNamed(error, 'InvalidObjectState')) return 'needless';
    if (isNamed(error, 'NotImplemented', 'MethodNotAllowed')) return 'unknown';
    throw error;
  }
}

/**
 * The states of some of the objects of a listing, by key. A listing without a thaw of an archived object may mean that it
 * is cold, or that the server reports thaws to HEAD only: unless it is AWS or reports one of some object, HEAD is asked of each.
 * @param wanted keys; those that are not listed have no state.
 */
export async function thawStates(
  bucket: Bucket,
  listed: readonly ListedObject[],
  wanted: ReadonlySet<string>,
  concurrency: number,
): Promise<ReadonlyMap<string, ThawState>> {
  const isTold = bucket.isAws || listed.some(({ toldThaw }) => toldThaw !== undefined);
  const states = await pMap(
    listed.filter(({ key }) => wanted.has(key)),
    async ({ key, storageClass, toldThaw }): Promise<readonly [string, ThawState]> => {
      const archive = archiveOf(storageClass);
      // Only HEAD says whether Intelligent-Tiering has archived an object.
      const isSilent = storageClass === 'INTELLIGENT_TIERING' || (archive !== undefined && !isTold);
      if (!isSilent) return [key, thawStateOf(archive, toldThaw)];
      return [key, (await headObject(bucket, key))?.thaw ?? { kind: 'readable' }];
    },
    { concurrency, signal: bucket.signal },
  );
  return new Map(states);
}
