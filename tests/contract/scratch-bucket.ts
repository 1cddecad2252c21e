/** Buckets for tests that change what holds for a whole bucket: made for one test, emptied and removed after it. */
import { randomUUID } from 'node:crypto';
import { CreateBucketCommand, type CreateBucketCommandInput, DeleteBucketCommand } from '@aws-sdk/client-s3';
import type { Target } from './target.ts';

/** Runs `work` with a bucket of its own, which it has to leave empty. */
export async function withBucket(
  target: Target,
  options: Partial<CreateBucketCommandInput>,
  work: (bucket: string) => Promise<void>,
): Promise<void> {
  const Bucket = `contract-${randomUUID()}`;
  await target.client.send(new CreateBucketCommand({ ...options, Bucket }));
  await work(Bucket);
  await target.client.send(new DeleteBucketCommand({ Bucket }));
}
