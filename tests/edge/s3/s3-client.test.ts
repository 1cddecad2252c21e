// Alone: it removes variables that other files have set.
/** What is wrong with credentials is reported in the words of the SDK. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exitCodeOf, type ToolError } from '../../../lib/core/errors.ts';
import { type BucketEvents, openBucket, recoveryPlaceOf } from '../../../lib/edge/s3/s3-client.ts';
import { settingsOf } from '../../support/settings.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('s3-client');
const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

const config = `
[profile process]
credential_process = /bin/sh -c "echo 'no ticket for you' >&2; exit 3"
[profile leak]
credential_process = /bin/sh -c "echo 'not with ${secret}' >&2; exit 3"
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/backup
source_profile = keys
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile keys]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = ${secret}
[profile role]
role_arn = arn:aws:iam::123456789012:role/backup
source_profile = keys
[profile sso]
sso_session = mine
sso_account_id = 123456789012
sso_role_name = backup
[profile expired]
sso_region = us-east-1
sso_start_url = https://old.awsapps.com/start
sso_account_id = 123456789012
sso_role_name = backup
[profile token]
role_arn = arn:aws:iam::123456789012:role/backup
web_identity_token_file = /nonexistent/token
[sso-session mine]
sso_region = us-east-1
sso_start_url = https://example.awsapps.com/start
`;
/** Where `aws sso login` keeps what it was given. */
const tokens = join(directory, '.aws', 'sso', 'cache');
const tokenOfOld = join(
  tokens,
  `${createHash('sha1').update('https://old.awsapps.com/start').digest('hex')}.json`,
);

const before = { ...process.env };
after(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
});

/** Opens a bucket with this profile. */
async function openWith(
  profile?: string,
  onRetry: BucketEvents['onRetry'] = () => undefined,
  environment: Readonly<Record<string, string>> = {},
) {
  await mkdir(tokens, { recursive: true });
  await writeFile(tokenOfOld, '{"accessToken":"x","expiresAt":"2026-01-01T00:00:00Z"}');
  await writeFile(join(directory, '.aws', 'config'), config);
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE']) {
    delete process.env[name];
  }
  Object.assign(process.env, {
    HOME: directory,
    AWS_CONFIG_FILE: join(directory, '.aws', 'config'),
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...(profile !== undefined && { AWS_PROFILE: profile }),
    ...(profile === 'leak' && { AWS_SECRET_ACCESS_KEY: secret }),
    ...environment,
  });
  const settings = settingsOf({ S3_BUCKET: 'backups', AWS_REGION: 'us-east-1' });
  const events = { onRetry, onSlowDown: () => undefined, random: () => 0 };
  const { signal } = new AbortController();
  return openBucket(settings, 'host', { signal, unreachedForMs: 0, ...events });
}

/** The failure to open a bucket with this profile. */
function failureWith(
  profile?: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<ToolError> {
  return openWith(profile, undefined, environment).then(
    () => assert.fail('it fails'),
    (error: unknown) => error as ToolError,
  );
}

test('a role of a machine that has none: the SDK thinks aloud, and that is no reason', async (t) => {
  const server = createServer((_, response) => response.writeHead(404).end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { message } = await failureWith(undefined, {
    AWS_EC2_METADATA_DISABLED: 'false',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  assert.match(message, /^cannot sign requests: no AWS credentials were found/);
  assert.doesNotMatch(message, /METADATA_V1_DISABLED|checking/);
});

for (const [what, profile, says] of [
  [
    'a failing credential_process',
    'process',
    / found: Command failed: .* no ticket for you \(bucket backups, AWS/,
  ],
  ['a profile that needs a second factor', 'mfa', / found: Profile mfa requires multi-factor authentication/],
  ['a single sign-on that nobody has done', 'sso', / found: The SSO session .* run 'aws sso login'/],
  ['a single sign-on that has expired', 'expired', / found: The SSO session .* has expired/],
  [
    'a profile that is not there',
    'nobody',
    / found: Could not resolve credentials using profile: \[nobody\]/,
  ],
  [
    'a token that is not there',
    'token',
    / found: ENOENT: no such file or directory, open '\/nonexistent\/token'/,
  ],
  ['nothing at all', undefined, / found \(bucket backups, AWS us-east-1\)$/],
] as const) {
  test(`${what} is reported in the line`, async () => {
    const error = await failureWith(profile);
    assert.match(error.message, /^cannot sign requests: no AWS credentials were found/);
    assert.match(error.message, says);
    assert.equal(error.message.split('\n').length, 1);
    assert.equal(exitCodeOf(error), 2);
    const advice = profile
      ? `check the profile ${profile} in ${join(directory, '.aws', 'config')} and /dev/null; for a timer it has to last: keys, or a role of this machine`
      : 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, in the settings file';
    assert.equal(error.hint, advice);
  });
}

test('a secret is not reported with it', async () => {
  const error = await failureWith('leak');
  assert.match(error.message, /not with \(removed\)/);
  const cause = error.cause as Error;
  assert.ok(!`${error.message} ${error.stack} ${cause.message} ${cause.stack}`.includes(secret));
});

test('a server for credentials that does not answer yet is waited for, and what is reported in the end is why', async () => {
  let [asked, isUp] = [0, false];
  const server = createServer((_request, response) => {
    asked++;
    if (!isUp) return void response.destroy();
    const given = `<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>${secret}</SecretAccessKey>`;
    const credentials = `<Credentials>${given}<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>`;
    response.end(
      `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>${credentials}</AssumeRoleResult></AssumeRoleResponse>`,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.env.AWS_ENDPOINT_URL_STS = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const failed = new Set<string>();
  try {
    const error = await openWith('role', (what) => failed.add(what)).catch((reason: unknown) => reason);
    assert.match(`${error}`, /cannot sign requests: the network failed/);
    assert.equal(exitCodeOf(error), 1);
    assert.ok(asked >= 5, `${asked}`);
    const bucket = await openWith('role', (what) => {
      isUp = true;
      failed.add(what);
    });
    assert.equal((await bucket.client.config.credentials()).accessKeyId, 'ASIAEXAMPLE');
    bucket.close();
    assert.deepEqual([...failed], ['sign requests']);
  } finally {
    delete process.env.AWS_ENDPOINT_URL_STS;
    server.close();
  }
});

test('where a bucket is can be said: AWS by its region, another server by its address and style', async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: secret });
  delete process.env.AWS_PROFILE;
  const placeWith = async (settings: Readonly<Record<string, string>>) => {
    const values = settingsOf({ S3_BUCKET: 'backups', S3_PREFIX: 'p', AWS_REGION: 'eu-west-1', ...settings });
    const { signal } = new AbortController();
    const bucket = await openBucket(values, 'host', {
      signal,
      unreachedForMs: 0,
      onRetry: () => undefined,
      onSlowDown: () => undefined,
    });
    bucket.close();
    return recoveryPlaceOf(bucket);
  };
  const place = {
    bucket: 'backups',
    prefix: 'p',
    region: 'eu-west-1',
    endpoint: undefined,
    isPathStyle: false,
  };
  assert.deepEqual(await placeWith({}), place);
  const endpoint = 'https://s3.example.net';
  const other = { ...place, endpoint, isPathStyle: true };
  assert.deepEqual(await placeWith({ AWS_ENDPOINT_URL_S3: endpoint }), other);
});
