/** Buckets for tests that change what holds for a whole bucket: made for one test, emptied and removed after it. */
import { randomUUID } from 'node:crypto';
import {
  CreateBucketCommand,
  type CreateBucketCommandInput,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
} from '@aws-sdk/client-s3';
import type { Target } from './target.ts';

/** Runs `work` with a bucket of its own, which it has to leave empty. */
export async function withBucket(
  target: Target,
  options: Partial<CreateBucketCommandInput>,
  work: (bucket: string) => Promise<void>,
): Promise<void> {
  const Bucket = `contract-${randomUUID()}`;
  const { client } = target;
  await client.send(new CreateBucketCommand({ ...options, Bucket }));
  try {
    await work(Bucket);
  } catch (error) {
    // What the test found matters more than a bucket that cannot be removed because of it.
    await Promise.allSettled([client.send(new DeleteBucketCommand({ Bucket }))]);
    throw error;
  }
  await client.send(new DeleteBucketCommand({ Bucket }));
}

/** Removes every version in a bucket, page by page. @throws when one is locked */
async function emptyVersions({ client }: Target, Bucket: string): Promise<void> {
  let truncated = true;
  while (truncated) {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket }));
    for (const { Key, VersionId } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
      await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId, BypassGovernanceRetention: true }));
    }
    truncated = page.IsTruncated === true;
  }
}

/** Runs `work` with a bucket that keeps versions, under Object Lock when it is asked for, and empties it afterwards. */
export async function withVersions(
  target: Target,
  options: { readonly lock: boolean },
  work: (bucket: string) => Promise<void>,
): Promise<void> {
  const create = options.lock ? { ObjectLockEnabledForBucket: true } : {};
  await withBucket(target, create, async (Bucket) => {
    if (!options.lock) {
      const VersioningConfiguration = { Status: 'Enabled' } as const;
      await target.client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    }
    try {
      await work(Bucket);
    } finally {
      await emptyVersions(target, Bucket);
    }
  });
}
