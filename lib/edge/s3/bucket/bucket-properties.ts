/** How a bucket is configured to treat unfinished uploads and deleted objects. */
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type LifecycleRule as S3Rule,
} from '@aws-sdk/client-s3';
import type { LifecycleRule } from '../../../core/plan/lifecycle-verdict.ts';
import { send, sendOnce } from '../requests/send.ts';
import type { Bucket } from '../s3-client.ts';
import { isNamed, isTransient, reasonOf } from '../s3-errors.ts';

/**
 * The rules of the bucket's lifecycle that are enabled; `unknown` where the server has no such rules, or these credentials may not read
 * them. One attempt: it is not worth a wait.
 */
export async function readLifecycle(bucket: Bucket): Promise<readonly LifecycleRule[] | 'unknown'> {
  try {
    const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket.name });
    const { Rules = [] } = await sendOnce(bucket, command);
    return Rules.filter(({ Status }) => Status === 'Enabled').map(describeRule);
  } catch (error) {
    bucket.signal.throwIfAborted();
    return isNamed(error, 'NoSuchLifecycleConfiguration') ? [] : 'unknown';
  }
}

/** Whether a lifecycle rule ends incomplete uploads of all keys below the bucket's prefix. */
export async function readUploadExpiry(bucket: Bucket): Promise<'set' | 'missing' | 'unknown'> {
  const rules = await readLifecycle(bucket);
  if (rules === 'unknown') return 'unknown';
  const below = bucket.prefix === '' ? '' : `${bucket.prefix}/`;
  const ends = ({ endsUploadsAfterDays, prefix }: LifecycleRule) =>
    endsUploadsAfterDays !== undefined && below.startsWith(prefix);
  return rules.some(ends) ? 'set' : 'missing';
}

/** The prefix of a rule may stand in its filter, or, in older rules, beside it; a rule without one is for all keys. */
function describeRule(rule: S3Rule): LifecycleRule {
  const { Filter, Expiration, NoncurrentVersionExpiration, Transitions = [] } = rule;
  const conditions = { ...Filter, ...Filter?.And };
  return {
    id: rule.ID ?? '',
    prefix: conditions.Prefix ?? rule.Prefix ?? '',
    isPartial:
      conditions.Tag !== undefined ||
      conditions.Tags !== undefined ||
      conditions.ObjectSizeGreaterThan !== undefined ||
      conditions.ObjectSizeLessThan !== undefined,
    endsUploadsAfterDays: rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation,
    expires: Expiration?.Days !== undefined || Expiration?.Date !== undefined,
    expiresVersions: NoncurrentVersionExpiration !== undefined,
    movesTo: Transitions.flatMap(({ StorageClass }) => StorageClass ?? []),
  };
}

/** `unknown` where the server does not say, or these credentials may not ask. */
export type Versioning = 'off' | 'enabled' | 'suspended' | 'unknown';

/**
 * Whether the bucket keeps deleted objects. Once on, versioning can only be suspended: new deletions are final then, and older versions
 * stay (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html).
 * @throws ToolError when the bucket cannot be reached
 */
export async function readVersioning(bucket: Bucket): Promise<Versioning> {
  const command = new GetBucketVersioningCommand({ Bucket: bucket.name });
  try {
    const { Status } = await send(bucket, 'ask whether the bucket keeps versions', command);
    return Status === 'Enabled' ? 'enabled' : Status === 'Suspended' ? 'suspended' : 'off';
  } catch (error) {
    bucket.signal.throwIfAborted();
    if (isTransient(reasonOf(error))) throw error;
    return 'unknown';
  }
}

/** How long Object Lock keeps new objects from being deleted; undefined where there is no such rule, or it is unknown. One attempt. */
export async function readDefaultRetention(bucket: Bucket): Promise<string | undefined> {
  try {
    const command = new GetObjectLockConfigurationCommand({ Bucket: bucket.name });
    const { ObjectLockConfiguration: lock } = await sendOnce(bucket, command);
    const { Mode, Days, Years } = lock?.Rule?.DefaultRetention ?? {};
    if (Mode === undefined) return undefined;
    return `${Mode}, ${Years === undefined ? `${Days} days` : `${Years} years`}`;
  } catch {
    bucket.signal.throwIfAborted();
    return undefined;
  }
}
