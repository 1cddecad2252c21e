/** A bucket on the embedded server, opened as the scripts open it. */
import { after } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import {
  type Bucket,
  type BucketEvents,
  openBucket,
  type WriteOptions,
} from '../../lib/edge/s3/s3-client.ts';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../testing/s3-server/server.ts';
import { type FaultyProxy, startProxy } from './faulty-proxy.ts';
import { settingsOf } from './settings.ts';

export const bucketName = 'test-bucket';
export const accessKeyId = 'test-account';
const secretAccessKey = 'not-a-secret';

/** How tests write objects. */
export const plainWrite: WriteOptions = { StorageClass: 'STANDARD' };

/** A server with a proxy in front of it; the bucket is reached through the proxy. */
export interface TestBucket {
  readonly bucket: Bucket;
  readonly server: S3Server;
  readonly proxy: FaultyProxy;
  /** What was reported of attempts that failed; for a test to empty. */
  readonly retries: string[];
}

/** Opens a bucket with settings beside those that name it, and with the account's credentials unless others are given. */
export async function openTestBucket(
  endpoint: string,
  settings: Readonly<Record<string, string>> = {},
  credentials: Readonly<Record<string, string>> = {},
  events: Partial<BucketEvents> = {},
): Promise<Bucket> {
  const own = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', ...own, ...credentials });
  const target = { S3_BUCKET: bucketName, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_S3: endpoint };
  return openBucket(settingsOf({ ...target, S3_PREFIX: 'host', ...settings }), 'host', {
    signal: new AbortController().signal,
    onRetry: () => undefined,
    onSlowDown: () => undefined,
    // No test waits.
    random: () => 0,
    unreachedForMs: 0,
    ...events,
  });
}

/** Starts server, proxy and bucket; they end with the test file. To be called at the top of it. */
export async function startTestBucket(
  directory: string,
  settings: Readonly<Record<string, string>> = {},
  serverOptions: Pick<S3ServerOptions, 'listPageSize' | 'thawDelayMs'> = {},
): Promise<TestBucket> {
  const account = { accessKeyId, secretAccessKey };
  const server = await startS3Server({ directory, ...account, buckets: [bucketName], ...serverOptions });
  const proxy = await startProxy(server.port);
  const retries: string[] = [];
  const bucket = await openTestBucket(
    proxy.endpoint,
    settings,
    {},
    {
      onRetry: (what, error, attempt) => retries.push(`${attempt}: ${what}: ${error.message}`),
      // Nor does one for what this server shows at once.
      sleep: (ms, signal) => setTimeout(ms / 100, undefined, { signal }),
    },
  );
  after(async () => {
    bucket.close();
    await proxy.stop();
    await server.stop();
  });
  return { bucket, server, proxy, retries };
}
