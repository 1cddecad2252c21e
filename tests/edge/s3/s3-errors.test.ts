import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf, ToolError } from '../../../lib/core/errors.ts';
import { explainS3Error, isAbort, isTransient } from '../../../lib/edge/s3/s3-errors.ts';

const action = { what: 'store x', bucket: 'b', server: 'AWS eu-central-1' };

/** An error as the SDK throws it. */
function errorOf(name: string, status?: number, code?: string): Error {
  const details = { ...(status && { $metadata: { httpStatusCode: status } }), ...(code && { code }) };
  return Object.assign(new Error(`message of ${name}`), { name }, details);
}

/** Name, status, code; what the line says, the hint, the exit code, and whether the request may be repeated. */
const table: readonly (readonly [string, number | undefined, string, string, RegExp, number, boolean])[] = [
  ['CredentialsProviderError', undefined, '', 'no AWS credentials were found', /AWS_ACCESS_KEY_ID/, 2, false],
  ['NoSuchBucket', 404, '', 'the bucket does not exist', /S3_BUCKET/, 1, false],
  ['InvalidAccessKeyId', 403, '', 'the access key is not known', /AWS_ACCESS_KEY_ID/, 1, false],
  ['SignatureDoesNotMatch', 403, '', 'the signature was refused', /AWS_SECRET_ACCESS_KEY/, 1, false],
  ['AccessDenied', 403, '', 'access was denied', /permissions/, 1, false],
  ['ExpiredToken', 400, '', 'the credentials have expired', /renew/, 1, false],
  [
    'RequestTimeTooSkewed',
    403,
    '',
    "this host's clock differs from the server's by more than 15 minutes",
    /timedatectl/,
    1,
    false,
  ],
  [
    'InvalidStorageClass',
    400,
    '',
    'the server does not have this storage class',
    /STORAGE_CLASS_CHUNKS/,
    1,
    false,
  ],
  ['PermanentRedirect', 301, '', 'the bucket is in another region', /AWS_REGION/, 1, false],
  ['AuthorizationHeaderMalformed', 400, '', 'the bucket is in another region', /AWS_REGION/, 1, false],
  [
    'InvalidObjectState',
    403,
    '',
    'the object is in an archive class and not thawed',
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
  ['NoSuchKey', 404, '', 'the object is missing', /make verify/, 4, false],
  ['SlowDown', 503, '', 'the server asks to slow down', /CONCURRENCY/, 1, true],
  ['Unknown', 403, '', 'access was denied', /credentials/, 1, false],
  ['Error', undefined, 'ENOTFOUND', "the server's name cannot be resolved", /DNS/, 1, true],
  ['Error', undefined, 'ECONNREFUSED', 'the connection was refused', /server runs/, 1, true],
  ['Error', undefined, 'ECONNRESET', 'the network failed', /run again/, 1, true],
  ['Error', undefined, 'EPIPE', 'the network failed', /run again/, 1, true],
  ['TimeoutError', undefined, '', 'the network failed', /run again/, 1, true],
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

test('what the SDK calls retryable is', () => {
  assert.ok(isTransient(Object.assign(new Error('x'), { $retryable: {} })));
});

test('what is no error at all is still reported', () => {
  for (const thrown of [undefined, null, 'text', 7]) {
    assert.match(explainS3Error(thrown, action).message, /^cannot store x: the server answered an error/);
    assert.equal(isTransient(thrown), false);
  }
});
