/** A bucket on an embedded server that has the habits of a provider, and the notices that its user got. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Bucket } from '../../lib/edge/s3/s3-client.ts';
import type { Habits } from '../../testing/s3-server/habits/habits.ts';
import type { ProviderName } from '../../testing/s3-server/habits/providers.ts';
import { type S3Server, startS3Server } from '../../testing/s3-server/server.ts';
import { accessKeyId, bucketName, openTestBucket } from './bucket.ts';

let servers = 0;

/** What is open for a test, and closed at its end. */
export interface ProviderBucket {
  readonly server: S3Server;
  readonly bucket: Bucket;
  /** Level and words of what was logged. */
  readonly notices: string[];
  /** The same bucket as another run opens it, with nothing known of the server. */
  reopen(settings?: Readonly<Record<string, string>>): Promise<Bucket>;
}

/** Starts a server for one test. */
export async function openProvider(
  test: TestContext,
  directory: string,
  provider: ProviderName | undefined,
  options: { readonly habits?: Habits; readonly settings?: Readonly<Record<string, string>> } = {},
): Promise<ProviderBucket> {
  servers += 1;
  const server = await startS3Server({
    directory: join(directory, `s3-${servers}`),
    accessKeyId,
    secretAccessKey: 'not-a-secret',
    buckets: [bucketName],
    provider,
    ...(options.habits && { habits: options.habits }),
  });
  const notices: string[] = [];
  const open: Bucket[] = [];
  const reopen = async (settings = options.settings) => {
    const onNotice = (level: string, message: string) => void notices.push(`${level}: ${message}`);
    const bucket = await openTestBucket(server.endpoint, settings, {}, { onNotice });
    open.push(bucket);
    return bucket;
  };
  test.after(async () => {
    for (const bucket of open) bucket.close();
    await server.stop();
  });
  return { server, bucket: await reopen(), notices, reopen };
}
