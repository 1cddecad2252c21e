/** Whether a bucket keeps what is deleted. */
import { GetBucketVersioningCommand } from '@aws-sdk/client-s3';
import { explain } from './conditions.ts';
import type { Bucket } from './s3-client.ts';
import { isTransient } from './s3-errors.ts';

/** `unknown` where the server does not say, or these credentials may not ask. */
export type Versioning = 'off' | 'enabled' | 'suspended' | 'unknown';

/**
 * Asks for it. Once on, versioning can only be suspended: then what is deleted goes, and older versions stay
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html).
 * @throws ToolError when the bucket cannot be reached
 */
export async function readVersioning(bucket: Bucket): Promise<Versioning> {
  const what = 'ask whether the bucket keeps versions';
  const command = new GetBucketVersioningCommand({ Bucket: bucket.name });
  try {
    const send = () => bucket.client.send(command, { abortSignal: bucket.signal });
    const { Status } = await bucket.retrier.run(what, send);
    return Status === 'Enabled' ? 'enabled' : Status === 'Suspended' ? 'suspended' : 'off';
  } catch (error) {
    bucket.signal.throwIfAborted();
    if (isTransient(error)) throw explain(bucket, what, error);
    return 'unknown';
  }
}
