/** Buckets for tests that change what holds for a whole bucket: made for one test, emptied and removed after it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateBucketCommand,
  type CreateBucketCommandInput,
  DeleteBucketCommand,
  DeleteObjectCommand,
  type DeleteObjectCommandInput,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
} from '@aws-sdk/client-s3';
import type { Target } from './target.ts';

/** Tests retain nothing in compliance mode for longer, in milliseconds: so long cleaning up waits for it. */
const MAX_COMPLIANCE_MS = 4000;
const BETWEEN_TRIES_MS = 200;

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
    await Promise.allSettled([emptyVersions(target, Bucket)]);
    await Promise.allSettled([client.send(new DeleteBucketCommand({ Bucket }))]);
    throw error;
  }
  await client.send(new DeleteBucketCommand({ Bucket }));
}

/** Removes a version, and waits for that while it is locked. @throws when it stays locked */
async function removeVersion({ client }: Target, input: DeleteObjectCommandInput, deadline: number) {
  for (;;) {
    try {
      return await client.send(new DeleteObjectCommand({ ...input, BypassGovernanceRetention: true }));
    } catch (error) {
      if ((error as Error).name !== 'AccessDenied' || Date.now() > deadline) throw error;
      await sleep(BETWEEN_TRIES_MS);
    }
  }
}

/** Removes every version in a bucket, page by page. @throws when one is locked for longer than tests lock anything */
async function emptyVersions(target: Target, Bucket: string): Promise<void> {
  const { client } = target;
  // A second more, since retentions are in whole seconds.
  const deadline = Date.now() + MAX_COMPLIANCE_MS + 1000;
  let truncated = true;
  while (truncated) {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket }));
    for (const { Key, VersionId } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
      await removeVersion(target, { Bucket, Key, VersionId }, deadline);
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
    await work(Bucket);
    await emptyVersions(target, Bucket);
  });
}
