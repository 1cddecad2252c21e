import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanError, cleanText } from '../../../lib/edge/s3/clean-error.ts';
import { checkAccess } from '../../../lib/edge/s3/objects.ts';
import { openTestBucket, startTestBucket } from '../../support/bucket.ts';
import type { ProxiedRequest } from '../../support/faulty-proxy.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('clean-error');
const { proxy } = await startTestBucket(join(directory, 's3'));

const secret = 'wJa1r/XUtn+FEMI=K7';
const signature = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

for (const [name, form] of [
  ['as it is', secret],
  ['encoded for an address', encodeURIComponent(secret)],
  ['escaped in JSON', secret.replaceAll('/', '\\/')],
  ['escaped in HTML', 'wJa1r&#47;XUtn&#43;FEMI&#61;K7'],
  ['escaped in HTML, hexadecimal', 'wJa1r&#x2F;XUtn&#x2B;FEMI&#x3D;K7'],
  ['in base64', Buffer.from(secret).toString('base64')],
  ['in base64url', Buffer.from(secret).toString('base64url')],
  ['in hex', Buffer.from(secret).toString('hex')],
] as const) {
  test(`a secret is removed ${name}, everywhere`, () => {
    assert.equal(cleanText(`a ${form} b${form}`, [undefined, secret]), 'a (removed) b(removed)');
  });
}

test('signatures and headers for credentials are removed whatever they hold', () => {
  const credential = 'Credential=AKIA/20261125/us-east-1/s3/aws4_request';
  for (const [text, clean] of [
    [`Signature=${signature}`, 'Signature=(removed)'],
    [`?X-Amz-Signature=${signature}&X-Amz-Date=1`, '?X-Amz-Signature=(removed)&X-Amz-Date=1'],
    [`{"x-amz-security-token":"abc/+=","b":1}`, '{"x-amz-security-token":"(removed)","b":1}'],
    ['X-Amz-Security-Token: abc\nb: 1', 'X-Amz-Security-Token: (removed) b: 1'],
    [
      `Authorization: AWS4-HMAC-SHA256 ${credential}, SignedHeaders=host, Signature=${signature}`,
      'Authorization: (removed), SignedHeaders=host, Signature=(removed)',
    ],
    [
      `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=host, Signature=${signature}`,
      '(removed), SignedHeaders=host, Signature=(removed)',
    ],
  ] as const) {
    assert.equal(cleanText(text, []), clean);
  }
});

test('a short secret does not take ordinary words apart', () => {
  assert.equal(cleanText('the bucket is empty', ['e']), 'the bucket is empty');
});

test('a text becomes one line that a terminal can show, of bounded length', () => {
  assert.equal(cleanText(' a\r\n  b\u001b[31m\u0007\u202ec\u2028d ', []), 'a b [31m c d');
  assert.equal(cleanText('x'.repeat(100_000), []), `${'x'.repeat(300)} …`);
});

for (const isTracedBySomebody of [false, true]) {
  const how = isTracedBySomebody ? 'with' : 'without';
  test(`a stack trace is made when it is asked for, and is clean (${how} a way of its own to make it)`, (t) => {
    const before: unknown = Reflect.get(Error, 'prepareStackTrace');
    t.after(() => Reflect.set(Error, 'prepareStackTrace', before));
    let made = 0;
    const trace = (error: Error, frames: readonly NodeJS.CallSite[]) => {
      made++;
      return `${error}\n    at ${frames[0]?.getFileName()}`;
    };
    Reflect.set(Error, 'prepareStackTrace', isTracedBySomebody ? trace : undefined);
    const error = new Error(`Signature=${signature}`);
    cleanError(error, []);
    assert.equal(made, 0);
    const stack = error.stack ?? '';
    assert.match(stack, /^Error: Signature=\(removed\)\n {4}at .*clean-error\.test\.ts/);
    assert.deepEqual([error.stack, made], [stack, isTracedBySomebody ? 1 : 0]);
    cleanError(error, ['clean-error']);
    assert.match(error.stack ?? '', /at .*\(removed\)\.test\.ts/, 'cleaned of another secret afterwards');
    error.stack = 'assigned';
    assert.equal(error.stack, 'assigned');
  });
}

/** The answer of something that repeats the request. */
function echo({ headers }: ProxiedRequest, asXml: boolean) {
  const token = headers['x-amz-security-token'];
  const repeated = `x-amz-security-token: ${token}\nauthorization: ${headers.authorization}\n`;
  const body = asXml
    ? `<Error><Code>Bad${token}</Code><Message>${repeated}</Message></Error>`
    : `<html>${repeated}<br>`;
  return { status: 400, headers: { 'content-type': 'application/xml' }, body: Buffer.from(body) };
}

for (const asXml of [true, false]) {
  test(`a server that repeats the headers of a request makes no secret known (${asXml ? 'XML' : 'HTML'})`, async () => {
    const token = 'IQoJb3JpZ2luX2VjEJr//token+of/a=session==';
    const retries: string[] = [];
    const bucket = await openTestBucket(
      proxy.endpoint,
      {},
      { AWS_SESSION_TOKEN: token },
      { onRetry: (_what, error) => retries.push(`${error.name} ${error.message} ${error.stack}`) },
    );
    try {
      proxy.expect({
        matches: () => true,
        before: () => echo(proxy.requests.at(-1) ?? assert.fail('a request came'), asXml),
      });
      const error: Error = await checkAccess(bucket).then(
        () => assert.fail('it is refused'),
        (thrown) => thrown,
      );
      assert.equal(proxy.requests[0]?.headers['x-amz-security-token'], token, 'the token was sent');
      const cause = error.cause as Error;
      const shown = [error.message, cause.message, cause.stack, ...retries].join('\n');
      assert.match(shown, asXml ? /x-amz-security-token: \(removed\)/ : /Deserialization error/);
      assert.doesNotMatch(shown, /IQoJ|token\+of/);
      assert.doesNotMatch(shown, /Signature\W+[0-9a-f]{64}/i);
      assert.equal(error.message.split('\n').length, 1);
    } finally {
      delete process.env.AWS_SESSION_TOKEN;
      bucket.close();
      proxy.expect();
    }
  });
}
