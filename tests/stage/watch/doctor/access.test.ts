/** The way to the bucket: region, clock, credentials, and what is said where it leads nowhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeSkew } from '../../../../lib/stage/watch/doctor/bucket/access.ts';
import { judgeIdentity } from '../../../../lib/stage/watch/doctor/bucket/credentials.ts';
import { openTestBucket, startTestBucket } from '../../../support/bucket.ts';
import { examineWith, linesOf } from '../../../support/doctor.ts';
import { changeEnvironment } from '../../../support/environment.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const directory = temporaryDirectory('doctor-access');
const { server } = await startTestBucket(directory);
const shown = ['credentials', 'bucket', 'clock', 'the rest'];

/** Examines with other settings, environment, or another clock. */
async function examine(
  settings: Readonly<Record<string, string>> = {},
  {
    aheadMs = 0,
    credentials = {},
  }: { aheadMs?: number; credentials?: Readonly<Record<string, string>> } = {},
) {
  const open = async () => {
    const bucket = await openTestBucket(server.endpoint, settings, credentials);
    // As a host whose clock is wrong signs.
    bucket.client.config.systemClockOffset = aheadMs;
    return bucket;
  };
  const now = () => new Date(Date.now() + aheadMs);
  const found = await examineWith(
    open,
    { S3_BUCKET: 'test-bucket', RUN_DIR: directory, ...settings },
    { role: 'verify', now },
  );
  return linesOf(found, ...shown);
}

const rest = 'skipped the rest: what is in the bucket is looked at when that is mended';

test('where all is well, a line tells which key, server, region, addressing and prefix', async () => {
  assert.deepEqual(await examine(), [
    'fine credentials: access key test…ount, which does not expire',
    `fine bucket: test-bucket at ${server.endpoint}, region us-east-1, named in the path, below host/`,
    "fine clock: this host's clock is the server's, to the minute",
  ]);
});

test('a wrong region is named, with the right one', async () => {
  const lines = await examine({ AWS_REGION: 'eu-west-1' });
  assert.match(
    lines[1] ?? '',
    /^broken bucket: cannot use the bucket: the bucket is in another region: .*\| set AWS_REGION=us-east-1$/,
  );
  assert.equal(lines.at(-1), rest);
  assert.match((await examine({ AWS_REGION: 'us-east-1' }))[1] ?? '', /^fine bucket/);
});

test('a clock that is wrong by an hour is named with how far, and how to set it', async () => {
  const lines = await examine({}, { aheadMs: 3_600_000 });
  assert.match(
    lines[1] ?? '',
    /^broken bucket: .*clock differs from the server's by more than 15 minutes.*\| set the clock \(timedatectl set-ntp true\)/,
  );
  assert.match(
    lines[2] ?? '',
    /^broken clock: this host's clock is (1h 00m|59m 59s) ahead of the server's, and .*\| timedatectl set-ntp true$/,
  );
  assert.equal(lines.at(-1), rest);
});

test('a clock that is wrong by minutes still works, and is warned of', async () => {
  const lines = await examine({}, { aheadMs: -300_000 });
  assert.match(
    lines[2] ?? '',
    /^doubtful clock: this host's clock is (4m 5|5m 0)\ds behind the server's \| timedatectl set-ntp true$/,
  );
  assert.deepEqual(judgeSkew(undefined), []);
});

test('a session that has expired is named by the server, and before that by its own date', async () => {
  server.faults.set([{ fault: 'error', code: 'ExpiredToken' }]);
  const lines = await examine();
  server.faults.set([]);
  assert.match(
    lines[1] ?? '',
    /^broken bucket: cannot use the bucket: the credentials have expired .*\| renew them/,
  );
  const identity = { accessKeyId: 'ASIAEXAMPLEEXAMPLE12', isTemporary: true, profile: 'work' };
  const at = (time: string) =>
    judgeIdentity({ ...identity, expiration: new Date('2026-01-01T12:00:00Z') }, new Date(time));
  assert.deepEqual(at('2026-01-01T13:00:00Z'), {
    verdict: 'broken',
    says: 'access key ASIA…LE12 of profile work expired at 2026-01-01T12:00:00Z',
    cure: 'renew them; for a timer use keys, or a role of this machine',
  });
  assert.match(at('2026-01-01T11:00:00Z').says, /holds until 2026-01-01T12:00:00Z, for 1h 00m$/);
  assert.equal(judgeIdentity({ ...identity, expiration: undefined }, new Date()).verdict, 'doubtful');
});

test('a wrong key, secret, bucket and server are each named, with the setting', async () => {
  const [key, secret, bucket] = [
    (await examine({}, { credentials: { AWS_ACCESS_KEY_ID: 'other-account' } }))[1],
    (await examine({}, { credentials: { AWS_SECRET_ACCESS_KEY: 'wrong-secret' } }))[1],
    (await examine({ S3_BUCKET: 'no-such-bucket' }))[1],
  ];
  assert.match(key ?? '', /^broken bucket: .*the access key is not known.*\| check AWS_ACCESS_KEY_ID/);
  assert.match(secret ?? '', /^broken bucket: .*the signature was refused.*\| check AWS_SECRET_ACCESS_KEY/);
  assert.match(bucket ?? '', /^broken bucket: .*the bucket does not exist.*\| check S3_BUCKET/);
});

test('credentials that are nowhere to be found keep nothing else from being looked at', async (t) => {
  const missing = async () => {
    changeEnvironment(t, { AWS_ACCESS_KEY_ID: undefined, AWS_SHARED_CREDENTIALS_FILE: '/nonexistent' });
    const { openBucket } = await import('../../../../lib/edge/s3/s3-client.ts');
    const { settingsOf } = await import('../../../support/settings.ts');
    const settings = settingsOf({
      S3_BUCKET: 'test-bucket',
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_S3: server.endpoint,
    });
    return openBucket(settings, 'host', {
      signal: new AbortController().signal,
      onRetry: () => undefined,
      onSlowDown: () => undefined,
    });
  };
  const found = await examineWith(
    missing,
    { S3_BUCKET: 'test-bucket', RUN_DIR: directory },
    { role: 'verify' },
  );
  const [credentials, ...more] = linesOf(found, 'credentials', 'the rest');
  assert.match(
    credentials ?? '',
    /^broken credentials: .*no AWS credentials were found.*\| set AWS_ACCESS_KEY_ID/,
  );
  assert.deepEqual(more, [rest]);
  assert.equal(linesOf(found, 'node', 'RUN_DIR', 'programs').length, 3);
});

test('a proxy that cannot be reached is named, with the settings that name it', async () => {
  const settings = {
    HTTPS_PROXY: 'http://user:password@127.0.0.1:9',
    S3_BUCKET: 'test-bucket',
    RUN_DIR: directory,
  };
  const open = () => openTestBucket('https://s3.example.net', settings);
  const all = { ...settings, AWS_ENDPOINT_URL_S3: 'https://s3.example.net' };
  const lines = linesOf(await examineWith(open, all, { role: 'verify' }), 'bucket', 'proxy', 'clock');
  assert.match(lines[0] ?? '', /^broken bucket: .*proxy 127\.0\.0\.1:9.*\| check HTTPS_PROXY and NO_PROXY/);
  assert.match(
    lines[1] ?? '',
    /^doubtful proxy: the way to https:\/\/s3\.example\.net leads through 127\.0\.0\.1:9 \| NO_PROXY/,
  );
  assert.equal(lines.length, 2);
  assert.equal(lines.join().includes('password'), false);
});
