/** Whether a bucket ends multipart uploads that nobody completes. */
import { GetBucketLifecycleConfigurationCommand, type LifecycleRule } from '@aws-sdk/client-s3';
import { isNamed } from './conditions.ts';
import type { Bucket } from './s3-client.ts';

/**
 * Whether a lifecycle rule ends incomplete uploads of all keys below the bucket's prefix; `unknown` where the server has no such
 * rules, or these credentials may not ask. Asked once: it is never worth a wait.
 */
export async function readUploadExpiry(bucket: Bucket): Promise<'set' | 'missing' | 'unknown'> {
  try {
    const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket.name });
    const { Rules = [] } = await bucket.client.send(command, { abortSignal: bucket.signal });
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
