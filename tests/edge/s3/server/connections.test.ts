/** Servers behind a proxy, and with certificates of a private CA: over real TLS, on loopback. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { exitCodeOf, type ToolError } from '../../../../lib/core/errors.ts';
import { checkAccess } from '../../../../lib/edge/s3/objects.ts';
import { type S3Server, startS3Server } from '../../../../testing/s3-server/server.ts';
import { accessKeyId, bucketName, openTestBucket } from '../../../support/bucket.ts';
import { resolveLocalNames } from '../../../support/local-names.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { startConnectProxy, startTls } from '../../../support/tls-front.ts';

const directory = temporaryDirectory('connections');
resolveLocalNames();

let server: S3Server;
let tls: Awaited<ReturnType<typeof startTls>>;
let proxy: Awaited<ReturnType<typeof startConnectProxy>>;

before(async () => {
  const account = { accessKeyId, secretAccessKey: 'not-a-secret' };
  server = await startS3Server({ directory: join(directory, 's3'), ...account, buckets: [bucketName] });
  tls = await startTls(server.port, directory);
  proxy = await startConnectProxy(tls.port);
});
after(async () => {
  for (const each of [proxy, tls, server]) await each.stop();
});
beforeEach(() => {
  proxy.asked.length = 0;
  proxy.refusal = undefined;
});

/** Uses the bucket with some settings; by default of a server that only the proxy knows a way to. */
async function use(settings: Readonly<Record<string, string>>, endpoint = 'https://s3.corp.invalid') {
  const retries: string[] = [];
  const onRetry = (_: string, error: Error) => retries.push(error.message);
  const bucket = await openTestBucket(endpoint, settings, {}, { onRetry });
  try {
    await checkAccess(bucket);
    return retries;
  } finally {
    bucket.close();
  }
}

const failure = (settings: Readonly<Record<string, string>>, endpoint?: string): Promise<ToolError> =>
  use(settings, endpoint).then(
    () => assert.fail('it fails'),
    (error: unknown) => error as ToolError,
  );

const direct = () => `https://s3.localhost:${tls.port}`;

test('a certificate of a private CA is refused, with the setting that names it', async () => {
  const { message, hint } = await failure({}, direct());
  assert.match(message, /the server's certificate is not trusted: self-signed certificate/);
  assert.match(hint ?? '', /AWS_CA_BUNDLE/);
});

test('AWS_CA_BUNDLE names it', async () => {
  await use({ AWS_CA_BUNDLE: tls.certificate }, direct());
  await use({ AWS_CA_BUNDLE: tls.certificate, S3_ADDRESSING: 'virtual' }, direct());
});

test('a name that the certificate is not for is reported as such', async () => {
  const { message, hint } = await failure(
    { AWS_CA_BUNDLE: tls.certificate },
    `https://other.localhost:${tls.port}`,
  );
  assert.match(message, /not trusted: Hostname\/IP does not match certificate's altnames/);
  assert.match(hint ?? '', /S3_ADDRESSING/);
});

test('a bundle without certificates is a mistake of the settings', async () => {
  const [empty, missing] = [join(directory, 'empty.pem'), join(directory, 'missing.pem')];
  writeFileSync(empty, '# nothing\n');
  for (const AWS_CA_BUNDLE of [empty, missing]) {
    const error = await failure({ AWS_CA_BUNDLE }, direct());
    assert.match(
      error.message,
      new RegExp(`^AWS_CA_BUNDLE: cannot read certificates from ${AWS_CA_BUNDLE}: `),
    );
    assert.equal(exitCodeOf(error), 2);
  }
});

test('HTTPS_PROXY leads to a server whose name only the proxy can resolve, by the name of the server', async () => {
  // The certificate is for s3.localhost, which the proxy alone is asked for.
  const HTTPS_PROXY = `http://127.0.0.1:${proxy.port}`;
  await use({ HTTPS_PROXY, AWS_CA_BUNDLE: tls.certificate }, 'https://s3.localhost:9443');
  assert.deepEqual(proxy.asked, ['s3.localhost:9443']);
  await use(
    { HTTPS_PROXY: `127.0.0.1:${proxy.port}`, AWS_CA_BUNDLE: tls.certificate },
    'https://s3.localhost:9443',
  );
  assert.equal(proxy.asked.length, 2);
});

test('connections through a proxy are kept', async () => {
  const settings = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`, AWS_CA_BUNDLE: tls.certificate };
  const bucket = await openTestBucket('https://s3.localhost:9443', settings);
  for (const _ of [1, 2, 3]) await checkAccess(bucket);
  bucket.close();
  assert.equal(proxy.asked.length, 1);
});

test('NO_PROXY is heeded', async () => {
  const settings = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`, AWS_CA_BUNDLE: tls.certificate };
  await use({ ...settings, NO_PROXY: 'corp.example,localhost' }, direct());
  assert.deepEqual(proxy.asked, []);
});

test('a proxy gets the user and password of its address, and they are not reported', async () => {
  const HTTPS_PROXY = `http://me:pass%20word@127.0.0.1:${proxy.port}`;
  await use({ HTTPS_PROXY, AWS_CA_BUNDLE: tls.certificate }, 'https://s3.localhost:9443');
  assert.equal(proxy.authorizations.at(-1), `Basic ${Buffer.from('me:pass word').toString('base64')}`);
  proxy.refusal = '407 Proxy Authentication Required';
  const { message, hint } = await failure({ HTTPS_PROXY });
  assert.match(
    message,
    /no connection to the server: proxy 127\.0\.0\.1:\d+ answered 407 Proxy Authentication Required \(bucket/,
  );
  assert.match(hint ?? '', /HTTPS_PROXY/);
  assert.ok(!/pass/.test(message));
});

test('a proxy that does not answer is named, not the server', async () => {
  const gone = await startConnectProxy(1);
  await gone.stop();
  const { message } = await failure({ HTTPS_PROXY: `http://127.0.0.1:${gone.port}` });
  assert.match(message, /no connection to the server: proxy 127\.0\.0\.1:\d+: connect ECONNREFUSED/);
});
