import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { type Ping, ping } from '../../../lib/edge/notify/ping.ts';
import { startPingServer } from '../../support/ping-server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startConnectProxy, startTls } from '../../support/tls-front.ts';

const secret = 'a1b2c3d4-the-secret';
const network = { HTTPS_PROXY: undefined, NO_PROXY: undefined, AWS_CA_BUNDLE: undefined };
const impatient = { attempts: 3, timeoutMs: 1000, waitMs: 1 };
const patient = { ...impatient, timeoutMs: 5000 };

async function failureOf(url: string, patience = impatient): Promise<string> {
  const error = await ping({ url, signal: 'fail', body: 'x' }, network, patience).then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ToolError);
  assert.doesNotMatch(`${error.message} ${error.hint ?? ''} ${error.childOutput ?? ''}`, new RegExp(secret));
  return error.message;
}

test('start, success and failure go where healthchecks wants them, with the reason as the body', async (t) => {
  const server = await startPingServer();
  t.after(() => server.stop());
  const url = `${server.url}/${secret}`;
  const told: readonly Ping[] = [
    { url, signal: 'start' },
    { url, signal: 'success', body: 'done' },
    { url: `${url}/?rid=7`, signal: 'fail', body: 'no space\nlast line' },
  ];
  for (const each of told) await ping(each, network, patient);
  assert.deepEqual(server.pings, [
    { path: `/${secret}/start`, body: '' },
    { path: `/${secret}`, body: 'done' },
    { path: `/${secret}/fail?rid=7`, body: 'no space\nlast line' },
  ]);
});

test('a server that fails at first is pinged again', async (t) => {
  let answers = 0;
  const server = await startPingServer((response) => {
    response.statusCode = ++answers < 3 ? 503 : 200;
    response.end();
  });
  t.after(() => server.stop());
  await ping({ url: `${server.url}/x`, signal: 'success' }, network, patient);
  assert.equal(server.pings.length, 3);
});

test('a server that is down, slow or refusing is given up, and the secret is in no message', async (t) => {
  const slow = await startPingServer(() => undefined);
  const refusing = await startPingServer((response) => {
    response.statusCode = 404;
    response.end('not found');
  });
  t.after(() => Promise.all([slow.stop(), refusing.stop()]));
  const down = await failureOf(`http://127.0.0.1:1/${secret}`);
  assert.match(down, /^cannot ping NOTIFY_URL at 127\.0\.0\.1:1: .*ECONNREFUSED/);
  assert.match(await failureOf(`${slow.url}/${secret}`), /no answer within 1 s$/);
  assert.equal(slow.pings.length, 3);
  assert.match(await failureOf(`${refusing.url}/${secret}`, patient), /it answered 404$/);
});

test('https goes through the proxy, plain http and hosts in NO_PROXY do not', async (t) => {
  const asked: string[] = [];
  const proxy = createServer((socket) => {
    socket.once('data', (bytes) => {
      asked.push(bytes.toString('latin1').split('\r\n')[0] ?? '');
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const address = proxy.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const HTTPS_PROXY = `http://127.0.0.1:${port}`;
  const to = (NO_PROXY: string | undefined) =>
    ping(
      { url: `https://hc.invalid/${secret}`, signal: 'success' },
      { ...network, HTTPS_PROXY, NO_PROXY },
      {
        ...patient,
        attempts: 1,
      },
    );
  await assert.rejects(to(undefined), /hc\.invalid: proxy 127\.0\.0\.1:\d+ answered 403/);
  assert.deepEqual(asked, ['CONNECT hc.invalid:443 HTTP/1.1']);
  await assert.rejects(to('hc.invalid'), /ENOTFOUND|EAI_AGAIN/);
  assert.equal(asked.length, 1);
  const server = await startPingServer();
  t.after(() => server.stop());
  await ping({ url: `${server.url}/x`, signal: 'success' }, { ...network, HTTPS_PROXY }, patient);
  assert.equal(asked.length, 1);
});

test('a service that answers and never ends its answer is left', async (t) => {
  const server = await startPingServer((response) => void response.write('O'));
  t.after(() => server.stop());
  await ping({ url: `${server.url}/x`, signal: 'success' }, network, patient);
});

test('a service with a certificate of a private CA is pinged, directly and through the proxy', async (t) => {
  const server = await startPingServer();
  const tls = await startTls(
    Number(new URL(server.url).port),
    temporaryDirectory('ping-tls'),
    'DNS:localhost',
  );
  const proxy = await startConnectProxy(tls.port);
  t.after(() => Promise.all([proxy.stop(), tls.stop(), server.stop()]));
  const trusting = { ...network, AWS_CA_BUNDLE: tls.certificate };
  const url = `https://localhost:${tls.port}/${secret}`;
  await assert.rejects(
    ping({ url, signal: 'start' }, network, { ...patient, attempts: 1 }),
    /self-signed|certificate/,
  );
  await ping({ url, signal: 'start' }, trusting, patient);
  const HTTPS_PROXY = `http://127.0.0.1:${proxy.port}`;
  await ping({ url: `https://localhost/${secret}`, signal: 'fail' }, { ...trusting, HTTPS_PROXY }, patient);
  assert.deepEqual(proxy.asked, ['localhost:443']);
  assert.deepEqual(
    server.pings.map(({ path }) => path),
    [`/${secret}/start`, `/${secret}/fail`],
  );
});
