import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect as openTcp } from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { ToolError } from '../../../lib/core/errors.ts';
import {
  detailsOf,
  isCertificateError,
  isDenied,
  isGarbled,
  isNamed,
  isTlsError,
  isTransient,
  reasonOf,
} from '../../../lib/edge/s3/s3-errors.ts';

test('what the SDK calls retryable is', () => {
  assert.ok(isTransient(Object.assign(new Error('x'), { $retryable: {} })));
});

test('connections that fail are transient, by the codes that Node gives', () => {
  for (const code of [
    'ECONNRESET',
    'ECONNABORTED',
    'ENETDOWN',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
    'EHOSTUNREACH',
    'EHOSTDOWN',
    'HPE_INVALID_CONSTANT',
    'EADDRNOTAVAIL',
    'EPROTO',
    'ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC',
    'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC',
    'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR',
  ]) {
    assert.ok(isTransient(Object.assign(new Error('x'), { code })), code);
  }
});

test('a body that did not arrive whole is sent again, and so is a login that the network was in the way of', () => {
  const named = (name: string, message: string) => Object.assign(new Error(message), { name });
  assert.ok(isTransient(named('IncompleteBody', 'x')));
  assert.ok(isTransient(named('CredentialsProviderError', 'Error: getaddrinfo EAI_AGAIN oidc.example')));
  assert.ok(!isTransient(named('CredentialsProviderError', 'The SSO session has expired')));
});

test('what will not pass is not: certificates, settings, files', () => {
  for (const code of ['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_INVALID_URL', 'ENOENT']) {
    assert.ok(!isTransient(Object.assign(new Error('x'), { code })), code);
  }
});

test('an alert that the other side sends is known by the error that Node makes of it', async () => {
  // A fatal bad_record_mac (20) in the place of the server's first message (RFC 8446, 6.2).
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 20])));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const socket = connect({ socket: openTcp(port, '127.0.0.1') });
  const [error] = await new Promise<[unknown]>((resolve) =>
    socket.once('error', (thrown) => resolve([thrown])),
  );
  server.close();
  assert.ok(isTlsError(error), `${error}`);
  assert.ok(isTransient(error));
});

test('a name is found in an error and in a ToolError that was made of it', () => {
  const denied = Object.assign(new Error('x'), { name: 'AccessDenied' });
  const told = new ToolError('in words', { cause: denied });
  assert.equal(reasonOf(told), denied);
  assert.equal(reasonOf(denied), denied);
  assert.deepEqual([denied, told].map(isDenied), [true, true]);
  assert.ok(isNamed(told, 'NoSuchKey', 'AccessDenied'));
  assert.ok(!isNamed(new ToolError('by itself'), 'AccessDenied'));
  assert.ok(!isNamed('AccessDenied', 'AccessDenied'));
});

test('whatever is thrown can be asked: the code of a DOMException is a number', () => {
  const late = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
  assert.equal(late.code, 23);
  assert.equal(detailsOf(late).code, undefined);
  assert.ok(isTransient(late));
  for (const thrown of [late, { code: 23, message: {}, name: null }, 'a text', 7, null, undefined]) {
    assert.deepEqual(
      [isGarbled, isTlsError, isCertificateError].map((ask) => ask(thrown)),
      [false, false, false],
    );
  }
});
