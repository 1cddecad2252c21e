/** Makes a bucket that is fit for backups: no versions, nothing public, and incomplete uploads end. */
import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  PutBucketLifecycleConfigurationCommand,
  PutPublicAccessBlockCommand,
} from '@aws-sdk/client-s3';
import { ToolError } from '../../../core/errors.ts';
import { uploadRule } from '../../../core/plan/lifecycle-verdict.ts';
import { send } from '../requests/send.ts';
import type { Bucket } from '../s3-client.ts';

/** S3 takes every other region as a constraint, and this one as none (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html). */
const unconstrained = 'us-east-1';

/**
 * Makes it.
 * @returns what could not be set, a line each; make doctor looks at it again
 * @throws ToolError when it cannot be made
 */
export async function makeBucket(bucket: Bucket): Promise<readonly string[]> {
  const { name, region, isAws } = bucket;
  const place = { Bucket: name };
  const isConstrained = isAws && region !== unconstrained;
  const constraint = { LocationConstraint: region as BucketLocationConstraint };
  const create = new CreateBucketCommand({
    ...place,
    ...(isConstrained && { CreateBucketConfiguration: constraint }),
  });
  await send(bucket, 'make the bucket', create);
  const problems: string[] = [];
  const attempt = (request: Promise<unknown>) =>
    request.catch((error: unknown) => {
      bucket.signal.throwIfAborted();
      if (!(error instanceof ToolError)) throw error;
      problems.push(error.message);
    });
  if (isAws) {
    const all = {
      BlockPublicAcls: true,
      IgnorePublicAcls: true,
      BlockPublicPolicy: true,
      RestrictPublicBuckets: true,
    };
    const block = new PutPublicAccessBlockCommand({ ...place, PublicAccessBlockConfiguration: all });
    await attempt(send(bucket, 'block public access', block));
  }
  const rules = { Rules: [uploadRule('')] };
  const lifecycle = new PutBucketLifecycleConfigurationCommand({ ...place, LifecycleConfiguration: rules });
  await attempt(send(bucket, 'set a rule that ends incomplete uploads', lifecycle));
  return problems;
}
