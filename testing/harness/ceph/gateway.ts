/** What the gateway needs before and after its start: a user, a zone with storage classes, a bucket. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { z } from 'zod';
import type { BucketAccess } from '../servers/bucket-access.ts';
import type { CephTools } from './ceph-tools.ts';

const pollMs = 50;
const storageClasses = ['STANDARD_IA', 'GLACIER', 'DEEP_ARCHIVE'] as const;

const userSchema = z.object({
  keys: z.array(z.object({ access_key: z.string(), secret_key: z.string() })).min(1),
});

/** Makes the user. Ceph makes its keys itself: given to it, they would stand in an argument list. */
export async function createUser(
  tools: CephTools,
): Promise<Pick<BucketAccess, 'accessKeyId' | 'secretAccessKey'>> {
  const answer = await tools.run('radosgw-admin', [
    'user',
    'create',
    '--uid',
    'harness',
    '--display-name',
    'harness',
  ]);
  const [key] = userSchema.parse(JSON.parse(answer)).keys;
  return { accessKeyId: key?.access_key ?? '', secretAccessKey: key?.secret_key ?? '' };
}

/**
 * Gives the default zone a region and the storage classes of archives. A class has to be known to the group of zones and to
 * have a place in the zone.
 */
export async function defineZone(tools: CephTools, region: string): Promise<void> {
  const group = ['--rgw-zonegroup', 'default'];
  await tools.run('radosgw-admin', ['zonegroup', 'modify', ...group, '--api-name', region]);
  for (const storageClass of storageClasses) {
    const placement = ['--placement-id', 'default-placement', '--storage-class', storageClass];
    await tools.run('radosgw-admin', ['zonegroup', 'placement', 'add', ...group, ...placement]);
    const zone = ['--rgw-zone', 'default', '--data-pool', 'default.rgw.buckets.data'];
    await tools.run('radosgw-admin', ['zone', 'placement', 'add', ...zone, ...placement]);
  }
}

/** Waits until the gateway answers. @throws the signal's reason */
export async function untilAnswers(endpoint: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const response = await fetch(endpoint, { signal }).catch(() => undefined);
    await response?.body?.cancel();
    if (response !== undefined) return;
    await sleep(pollMs);
  }
}

/** Makes the bucket of `access`. @throws what the server refuses */
export async function createBucket(access: BucketAccess, abortSignal: AbortSignal): Promise<void> {
  // The SDK's notice about future Node versions is not about this run.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { endpoint, region, accessKeyId, secretAccessKey, bucket: Bucket } = access;
  const client = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  try {
    await client.send(new CreateBucketCommand({ Bucket }), { abortSignal });
  } finally {
    client.destroy();
  }
}
