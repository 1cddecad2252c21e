/** A target that the environment names, whoever runs it. */
import { randomUUID } from 'node:crypto';
import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { readServerVariables } from '../../testing/harness/servers/server-variables.ts';
import { Outcomes } from './outcomes.ts';
import type { Target } from './target.ts';

/**
 * The target of S3_SERVER=env. Its bucket has to exist: whoever names a bucket in an account of his own does not expect
 * that tests make it.
 * @throws one line where a variable is missing or wrong, or the bucket cannot be reached.
 */
export async function namedTarget(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Target> {
  const target = describeTarget(environment);
  const { client, bucket: Bucket, name } = target;
  try {
    await client.send(new HeadBucketCommand({ Bucket }));
    return target;
  } catch (cause) {
    client.destroy();
    const { name: code, message } = cause as Error;
    throw new Error(`no way to the bucket '${Bucket}' of ${name}, which has to exist: ${code}, ${message}`, {
      cause,
    });
  }
}

function describeTarget(environment: Readonly<Record<string, string | undefined>>): Target {
  const { sessionToken, ...server } = readServerVariables(environment);
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const session = sessionToken === undefined ? {} : { sessionToken };
  return {
    ...server,
    ...session,
    name: environment.S3_NAME || new URL(endpoint).host,
    prefix: `${server.prefix}contract ${randomUUID()}/`,
    client: new S3Client({
      endpoint,
      region,
      credentials: { accessKeyId, secretAccessKey, ...session },
      forcePathStyle: true,
      maxAttempts: 1,
    }),
    outcomes: new Outcomes(),
  };
}
