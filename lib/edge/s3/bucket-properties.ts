/** How a bucket is configured to treat unfinished uploads and deleted objects. */
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  type LifecycleRule,
} from '@aws-sdk/client-s3';
import type { Bucket } from './s3-client.ts';
import { isNamed, isTransient, reasonOf } from './s3-errors.ts';
import { send, sendOnce } from './send.ts';

/**
 * Whether a lifecycle rule ends incomplete uploads of all keys below the bucket's prefix; `unknown` where the server has no such
 * rules, or these credentials may not read them. One attempt: it is not worth a wait.
 */
export async function readUploadExpiry(bucket: Bucket): Promise<'set' | 'missing' | 'unknown'> {
  try {
    const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket.name });
    const { Rules = [] } = await sendOnce(bucket, command);
    return Rules.some((rule) => endsUploads(rule, bucket.prefix === '' ? '' : `${bucket.prefix}/`))
      ? 'set'
      : 'missing';
  } catch (error) {
    bucket.signal.throwIfAborted();
    return isNamed(error, 'NoSuchLifecycleConfiguration') ? 'missing' : 'unknown';
  }
}

/** The prefix of a rule may stand in its filter, or, in older rules, beside it; a rule without one is for all keys. */
function endsUploads(rule: LifecycleRule, below: string): boolean {
  if (rule.Status !== 'Enabled' || rule.AbortIncompleteMultipartUpload === undefined) return false;
  const prefix = rule.Filter?.Prefix ?? rule.Filter?.And?.Prefix ?? rule.Prefix ?? '';
  return below.startsWith(prefix);
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
