// Alone: it removes variables that other files have set.
/** An endpoint in an AWS profile is the setting by another way: the same rules, the same addressing, the same name in messages. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exitCodeOf, type ToolError } from '../../../../lib/core/errors.ts';
import { checkAccess } from '../../../../lib/edge/s3/objects.ts';
import { type Bucket, openBucket } from '../../../../lib/edge/s3/s3-client.ts';
import { startS3Server } from '../../../../testing/s3-server/server.ts';
import { accessKeyId, bucketName } from '../../../support/bucket.ts';
import { settingsOf } from '../../../support/settings.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const directory = temporaryDirectory('endpoint');
const account = { accessKeyId, secretAccessKey: 'not-a-secret' };
const server = await startS3Server({ directory: join(directory, 's3'), ...account, buckets: [bucketName] });
const environment = { ...process.env };
after(async () => {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
  await server.stop();
});

/** Opens the bucket as profile `minio` says. */
async function openWith(profile: string, settings: Readonly<Record<string, string>> = {}): Promise<Bucket> {
  const config = join(directory, 'config');
  writeFileSync(config, profile);
  Object.assign(process.env, {
    AWS_CONFIG_FILE: config,
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_PROFILE: 'minio',
    AWS_EC2_METADATA_DISABLED: 'true',
  });
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) delete process.env[name];
  const events = { onRetry: () => undefined, onSlowDown: () => undefined, random: () => 0 };
  const values = settingsOf({ S3_BUCKET: bucketName, AWS_REGION: 'us-east-1', ...settings });
  return openBucket(values, 'host', { signal: new AbortController().signal, ...events });
}

const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = not-a-secret\n`;
const general = (endpoint: string) => `[profile minio]\n${keys}endpoint_url = ${endpoint}\n`;
const ofS3 = (endpoint: string) =>
  `[profile minio]\n${keys}endpoint_url = http://127.0.0.1:9\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = ${endpoint}\n`;

for (const [what, profile] of [
  ['endpoint_url', general],
  ['endpoint_url of s3 in a services section', ofS3],
] as const) {
  test(`${what} of the profile is the server, with the bucket in the path`, async () => {
    const bucket = await openWith(profile(server.endpoint));
    await checkAccess(bucket);
    assert.deepEqual([bucket.server, bucket.isAws], [server.endpoint, false]);
    bucket.close();
  });
}

test('a plain http endpoint of the profile is refused as in the settings, before anything is sent', async () => {
  const error = await openWith(general('http://192.0.2.2:9000')).then(
    () => assert.fail('it is refused'),
    (reason: unknown) => reason as ToolError,
  );
  assert.match(error.message, /^the endpoint_url of the AWS profile minio is not encrypted; use https:\/\//);
  assert.equal(exitCodeOf(error), 2);
  const bucket = await openWith(general('http://192.0.2.2:9000'), { S3_ALLOW_HTTP: 'true' });
  assert.equal(bucket.server, 'http://192.0.2.2:9000');
  bucket.close();
});

test('an endpoint of the profile that is no address is refused', async () => {
  await assert.rejects(openWith(general('minio:9000')), /minio is not an http:\/\/ or https:\/\/ address/);
});

test('the setting wins over the profile', async () => {
  const bucket = await openWith(general('https://other.example'), { AWS_ENDPOINT_URL_S3: server.endpoint });
  await checkAccess(bucket);
  bucket.close();
});

test('ignore_configured_endpoint_urls is heeded: it is AWS then', async () => {
  const bucket = await openWith(`${general(server.endpoint)}ignore_configured_endpoint_urls = true\n`);
  assert.deepEqual([bucket.server, bucket.isAws], ['AWS us-east-1', true]);
  bucket.close();
});
