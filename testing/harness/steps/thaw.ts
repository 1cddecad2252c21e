/** Objects of archive classes: whether one can be read, and asking S3 to make it readable for a while. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type HeadObjectCommandOutput, RestoreObjectCommand, type Tier } from '@aws-sdk/client-s3';
import { formatCount } from '../../../lib/core/units.ts';
import type { HarnessBucket } from './bucket.ts';
import type { StepLog } from './step-log.ts';

/** Between two looks at an object that thaws: as often as a small delay wants it, and not more often than AWS deserves. */
const [firstPollMs, longestPollMs] = [200, 60_000];

/** True for an object that S3 will not hand out now; see x-amz-restore in API_HeadObject.html of the S3 API. */
export function isFrozen({ StorageClass, Restore }: HeadObjectCommandOutput): boolean {
  const archived = StorageClass === 'GLACIER' || StorageClass === 'DEEP_ARCHIVE';
  return archived && !Restore?.includes('ongoing-request="false"');
}

/** Those of some keys that cannot be read now. */
export async function frozenAmong(
  bucket: HarnessBucket,
  keys: readonly string[],
): Promise<readonly string[]> {
  const frozen: string[] = [];
  for (const key of keys) if (isFrozen(await bucket.head(key))) frozen.push(key);
  return frozen;
}

/** Requests a thaw of all keys, for one day, and waits until each can be read: milliseconds or, on AWS, many hours. */
export async function thaw(
  bucket: HarnessBucket,
  keys: readonly string[],
  options: { readonly tier: Tier; readonly log: StepLog; readonly signal: AbortSignal },
): Promise<void> {
  const { tier, log, signal } = options;
  for (const Key of keys) {
    const RestoreRequest = { Days: 1, GlacierJobParameters: { Tier: tier } };
    await bucket.client.send(new RestoreObjectCommand({ Bucket: bucket.name, Key, RestoreRequest }));
  }
  log.say(`a thaw of ${formatCount(keys.length, 'chunk')} is requested`);
  for (let waitMs = firstPollMs; (await frozenAmong(bucket, keys)).length > 0; ) {
    await sleep(waitMs, undefined, { signal });
    waitMs = Math.min(2 * waitMs, longestPollMs);
  }
}
