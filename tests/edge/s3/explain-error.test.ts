import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf, ToolError } from '../../../lib/core/errors.ts';
import { explainS3Error } from '../../../lib/edge/s3/explain-error.ts';
import { isAbort, isTransient } from '../../../lib/edge/s3/s3-errors.ts';

const action = { what: 'store x', bucket: 'b', server: 'AWS eu-central-1' };

/** An error as the SDK throws it. */
function errorOf(name: string, status?: number, code?: string): Error {
  const details = { ...(status && { $metadata: { httpStatusCode: status } }), ...(code && { code }) };
  return Object.assign(new Error(`message of ${name}`), { name }, details);
}

/** Name, status, code; what the line says, the hint, the exit code, and whether the request may be repeated. */
const table: readonly (readonly [string, number | undefined, string, string, RegExp, number, boolean])[] = [
  [
    'CredentialsProviderError',
    undefined,
    '',
    'no AWS credentials were found: message of CredentialsProviderError',
    /AWS_ACCESS_KEY_ID/,
    2,
    false,
  ],
  ['WebPage', undefined, '', 'a web page came instead of an answer of S3', /not of a console/, 1, false],
  [
    'QuotaExceeded',
    403,
    '',
    'the bucket has no room left: message of QuotaExceeded',
    /quota.*make prune/,
    1,
    false,
  ],
  ['NoSuchBucket', 404, '', 'the bucket does not exist: message of NoSuchBucket', /S3_BUCKET/, 1, false],
  [
    'InvalidAccessKeyId',
    403,
    '',
    'the access key is not known: message of InvalidAccessKeyId',
    /AWS_ACCESS_KEY_ID/,
    1,
    false,
  ],
  [
    'SignatureDoesNotMatch',
    403,
    '',
    'the signature was refused: message of SignatureDoesNotMatch',
    /AWS_SECRET_ACCESS_KEY/,
    1,
    false,
  ],
  ['AccessDenied', 403, '', 'access was denied: message of AccessDenied', /permissions/, 1, false],
  ['ExpiredToken', 400, '', 'the credentials have expired: message of ExpiredToken', /renew/, 1, false],
  [
    'RequestTimeTooSkewed',
    403,
    '',
    "this host's clock differs from the server's by more than 15 minutes: message of RequestTimeTooSkewed",
    /timedatectl/,
    1,
    false,
  ],
  [
    'InvalidStorageClass',
    400,
    '',
    'the server does not have this storage class: message of InvalidStorageClass',
    /STORAGE_CLASS_CHUNKS/,
    1,
    false,
  ],
  ['PermanentRedirect', 301, '', 'the bucket is in another region', /AWS_REGION/, 1, false],
  [
    'AuthorizationHeaderMalformed',
    400,
    '',
    'the bucket is in another region: message of AuthorizationHeaderMalformed',
    /AWS_REGION/,
    1,
    false,
  ],
  [
    'InvalidObjectState',
    403,
    '',
    'the object is in an archive class and not thawed: message of InvalidObjectState',
    /make thaw SUBVOLUME=/,
    5,
    false,
  ],
  [
    'GlacierExpeditedRetrievalNotAvailable',
    503,
    '',
    'there is no capacity for expedited thaws now',
    /TIER=Standard/,
    1,
    false,
  ],
  ['NoSuchKey', 404, '', 'the object is missing: message of NoSuchKey', /make verify/, 4, false],
  ['SlowDown', 503, '', 'the server asks to slow down', /CONCURRENCY/, 1, true],
  ['Unknown', 403, '', 'access was denied: message of Unknown', /credentials/, 1, false],
  ['Error', undefined, 'ENOTFOUND', "the server's name cannot be resolved", /DNS/, 1, true],
  ['Error', undefined, 'ECONNREFUSED', 'the connection was refused', /server runs/, 1, true],
  ['Error', undefined, 'ECONNRESET', 'the network failed', /run again/, 1, true],
  ['Error', undefined, 'EPIPE', 'the network failed', /run again/, 1, true],
  ['Error', undefined, 'ENETDOWN', 'the network failed', /run again/, 1, true],
  ['Error', undefined, 'EADDRNOTAVAIL', 'the network failed', /run again/, 1, true],
  [
    'Error',
    undefined,
    'ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC',
    'the TLS connection failed: message of Error',
    /AWS_ENDPOINT_URL_S3/,
    1,
    true,
  ],
  ['Error', undefined, 'EPROTO', 'the TLS connection failed: message of Error', /run again/, 1, true],
  ['wrong version number', undefined, 'EPROTO', 'the server does not speak TLS there', /http:/, 1, true],
  [
    'Error',
    undefined,
    'CERT_HAS_EXPIRED',
    "the server's certificate is not trusted: message of Error",
    /AWS_CA_BUNDLE/,
    1,
    false,
  ],
  ['TimeoutError', undefined, '', 'the network failed', /run again/, 1, true],
  [
    'TokenProviderError',
    undefined,
    '',
    'no AWS credentials were found: message of TokenProviderError',
    /AWS_PROFILE/,
    2,
    false,
  ],
  [
    'InternalError',
    500,
    '',
    'the server answered InternalError (500): message of InternalError',
    /^$/,
    1,
    true,
  ],
  ['BadDigest', 400, '', 'the server answered BadDigest (400): message of BadDigest', /^$/, 1, true],
  [
    'ConditionalRequestConflict',
    409,
    '',
    'the server answered ConditionalRequestConflict (409): message of ConditionalRequestConflict',
    /^$/,
    1,
    true,
  ],
  [
    'IncompleteBody',
    400,
    '',
    'the server answered IncompleteBody (400): message of IncompleteBody',
    /^$/,
    1,
    true,
  ],
  ['TooMany', 429, '', 'the server answered TooMany (429): message of TooMany', /^$/, 1, true],
  [
    'TransferError',
    undefined,
    '',
    'the server answered TransferError: message of TransferError',
    /^$/,
    1,
    true,
  ],
  [
    'MalformedXML',
    400,
    '',
    'the server answered MalformedXML (400): message of MalformedXML',
    /^$/,
    1,
    false,
  ],
];

for (const [name, status, code, says, hint, exitCode, transient] of table) {
  test(`${name}${status ? ` ${status}` : ''}${code ? ` ${code}` : ''} reads: ${says}`, () => {
    const cause = errorOf(name, status, code);
    const error = explainS3Error(cause, action);
    assert.ok(error instanceof ToolError);
    assert.equal(error.message, `cannot store x: ${says} (bucket b, AWS eu-central-1)`);
    assert.match(error.hint ?? '', hint);
    assert.equal(exitCodeOf(error), exitCode);
    assert.equal(error.cause, cause);
    assert.equal(isTransient(cause), transient);
  });
}

/** The line of a refusal in which the server says this. */
function lineOf(message: string, name = 'AccessDenied', status = 403): string {
  return explainS3Error(Object.assign(errorOf(name, status), { message }), action).message;
}

test('the sentence of the server stands behind ours, without its full stop, control characters and endless length', () => {
  const denied =
    'User: arn:aws:iam::1:user/me is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:eu-central-1:1:key/k';
  assert.equal(lineOf(denied), `cannot store x: access was denied: ${denied} (bucket b, AWS eu-central-1)`);
  assert.match(lineOf('One.\nTwo \u001b[31mred\u0007.'), /: access was denied: One\. Two \[31mred \(bucket/);
  assert.match(lineOf('x'.repeat(5000)), /: x{300} … \(bucket/);
});

test('a sentence that says nothing more than ours is left out', () => {
  for (const [message, name] of [
    ['', 'AccessDenied'],
    ['Access Denied', 'AccessDenied'],
    ['AccessDenied', 'AccessDenied'],
    ['UnknownError', '403'],
    ['The specified key does not exist.', 'NoSuchKey'],
    ['The specified bucket does not exist', 'NoSuchBucket'],
    ['The provided token has expired.', 'ExpiredToken'],
    ['Could not load credentials from any providers', 'CredentialsProviderError'],
  ] as const) {
    assert.doesNotMatch(lineOf(message, name), /: [^(]*: /, message);
  }
});

test('a server that only has too much to do, and a network that fails, have nothing to add', () => {
  assert.match(lineOf('Please', 'SlowDown', 503), /: the server asks to slow down \(bucket/);
  const reset = errorOf('Error', undefined, 'ECONNRESET');
  assert.match(explainS3Error(reset, action).message, /: the network failed \(bucket/);
});

test('what is in words already stays as it is', () => {
  const error = new ToolError('known');
  assert.equal(explainS3Error(error, action), error);
  assert.equal(isTransient(error), false);
});

test('an abort stays as it is, and is not repeated', () => {
  const abort = errorOf('AbortError');
  assert.equal(explainS3Error(abort, action), abort);
  assert.ok(isAbort(abort));
  assert.ok(!isAbort(errorOf('Error')));
  assert.equal(isTransient(abort), false);
});

test('what is no error at all is still reported', () => {
  for (const thrown of [undefined, null, 'text', 7]) {
    assert.match(explainS3Error(thrown, action).message, /^cannot store x: the server answered an error/);
    assert.equal(isTransient(thrown), false);
  }
});
