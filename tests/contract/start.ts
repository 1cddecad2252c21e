/** Embedded servers for the tests: each in a directory of its own below testing/run, gone afterwards. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../testing/s3-server/server.ts';
import { Outcomes } from './outcomes.ts';
import type { Target } from './target.ts';

export const ACCOUNT = { accessKeyId: 'AKTEST', secretAccessKey: 'a secret for tests' };

/** The bucket that every server of the tests has. */
export const BUCKET = 'contract';

const RUN_DIRECTORY = join(import.meta.dirname, '../../testing/run');

/** Makes a directory below testing/run; the caller removes it. */
export async function makeScratch(): Promise<string> {
  await mkdir(RUN_DIRECTORY, { recursive: true });
  return await mkdtemp(join(RUN_DIRECTORY, 'contract-'));
}

/** How a client speaks to its server; by default it names the bucket in the path, and adds checksums of its own. */
export interface ClientHabits {
  readonly pathStyle?: boolean;
  readonly checksums?: 'WHEN_REQUIRED' | 'WHEN_SUPPORTED';
}

/** A client that does not retry. */
export function createClient(
  endpoint: string,
  credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } = ACCOUNT,
  { pathStyle = true, checksums = 'WHEN_SUPPORTED' }: ClientHabits = {},
): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    credentials,
    forcePathStyle: pathStyle,
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    maxAttempts: 1,
  });
}

/** A target over a server. */
export function createTarget(name: string, endpoint: string): Target {
  return {
    name,
    endpoint,
    region: 'us-east-1',
    ...ACCOUNT,
    bucket: BUCKET,
    prefix: 'contract tests/',
    lacks: new Set(),
    client: createClient(endpoint),
    outcomes: new Outcomes(),
  };
}

/** Runs `work` with a server on a fresh directory; both are gone when this settles. */
export async function withServer(
  options: Partial<S3ServerOptions>,
  work: (server: S3Server, target: Target, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await makeScratch();
  try {
    const server = await startS3Server({ directory, buckets: [BUCKET], ...ACCOUNT, ...options });
    const target = createTarget('embedded', server.endpoint);
    try {
      await work(server, target, directory);
    } finally {
      target.client.destroy();
      await server.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
