/** Objects of archive classes: whether one can be read. */
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { HarnessBucket } from '../steps/bucket.ts';

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
