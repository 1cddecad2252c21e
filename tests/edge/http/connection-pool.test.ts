import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Agent as PlainAgent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SilentConnection } from '../../../lib/edge/http/connection.ts';
import { ConnectionPool, directOptions, type Origin } from '../../../lib/edge/http/connection-pool.ts';
import { startTlsRelay } from '../../support/tls-relay.ts';

const data = randomBytes(3_000_000);
const never = new AbortController().signal;

/** What the server does with a request, by its path. */
type Answering = (socket: Socket, path: string) => void;

const answer = (socket: Socket, length: number, more = '') => {
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n${more}\r\n`);
  socket.write(data.subarray(0, length));
};

let answering: Answering = (socket) => answer(socket, data.length);
const sockets: Socket[] = [];
const requests: string[] = [];
const server = createServer((socket) => {
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.on('data', (text) => {
    const path = /^GET (\S+) HTTP\/1\.1\r\nhost: x\r\n\r\n$/.exec(text.toString())?.[1] ?? 'garbled';
    requests.push(path);
    answering(socket, path);
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;
after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

const pools: ConnectionPool[] = [];
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
  sockets.length = 0;
  requests.length = 0;
  answering = (socket) => answer(socket, data.length);
});

const plain: Origin = { isTls: false, host: '127.0.0.1', port, options: {} };

/** A pool, and reading through it: what came, and what was counted. */
function open(origin = plain, timeouts = { connectMs: 5000, idleMs: 5000 }) {
  const pool = new ConnectionPool(timeouts);
  pools.push(pool);
  const get = async (path: string, length = data.length, signal = never) => {
    const target = new Uint8Array(new SharedArrayBuffer(length));
    let counted = 0;
    const request = `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
    const onBytes = (bytes: number) => {
      counted += bytes;
    };
    const { head } = await pool.send(origin, { request, targetOf: () => target, onBytes, signal });
    return { status: head.status, isWhole: Buffer.from(target).equals(data.subarray(0, length)), counted };
  };
  return { pool, get };
}

const whole = { status: 200, isWhole: true, counted: data.length };

test('bodies come into memory that is shared, one after the other over one connection, side by side over several', async () => {
  const { get } = open();
  assert.deepEqual(await get('/1'), whole);
  assert.deepEqual(await get('/2'), whole);
  assert.equal(sockets.length, 1);
  assert.deepEqual(await Promise.all(['/3', '/4', '/5'].map((path) => get(path))), [whole, whole, whole]);
  assert.equal(sockets.length, 3);
  assert.deepEqual(requests.sort(), ['/1', '/2', '/3', '/4', '/5']);
});

test('the same over TLS, to a name and to an address, whose certificate is checked', async () => {
  const relay = await startTlsRelay(port);
  for (const host of ['localhost', '127.0.0.1']) {
    const options = { ca: relay.certificate };
    const { get } = open({ isTls: true, host, port: relay.port, options });
    const before = relay.connections();
    assert.deepEqual(await get('/1'), whole);
    assert.deepEqual(await get('/2'), whole);
    assert.equal(relay.connections() - before, 1);
  }
  const { get } = open({ isTls: true, host: 'localhost', port: relay.port, options: {} });
  await assert.rejects(get('/3'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
});

test('a connection that the server closed meanwhile is made again, once it is needed', async () => {
  const { get } = open();
  await get('/1');
  sockets[0]?.end();
  await sleep(50);
  assert.deepEqual(await get('/2'), whole);
  assert.equal(sockets.length, 2);
});

test('a connection that ends with the request, and gave nothing of an answer, is made again; a new one is not', async () => {
  const { get } = open();
  await get('/1');
  answering = (socket) => (sockets.length === 1 ? socket.destroy() : answer(socket, data.length));
  assert.deepEqual(await get('/2'), whole);
  assert.deepEqual(requests, ['/1', '/2', '/2']);
  answering = (socket) => socket.resetAndDestroy();
  await assert.rejects(get('/3'), { code: 'ECONNRESET' });
  assert.deepEqual(requests, ['/1', '/2', '/2', '/3', '/3']);
});

test('a connection is not used again when the server says so, or when it sends what no one asked for', async () => {
  const { get } = open();
  answering = (socket) => answer(socket, data.length, 'connection: close\r\n');
  await get('/1');
  answering = (socket) => answer(socket, data.length);
  await get('/2');
  assert.equal(sockets.length, 2);
  sockets[1]?.write('HTTP/1.1 408 Request Timeout\r\n\r\n');
  await sleep(50);
  await get('/3');
  assert.equal(sockets.length, 3);
});

test('an answer that breaks off is an error of the network, with how far it came', async () => {
  const { get } = open();
  await get('/1');
  const broken = { message: 'premature close after 1000 of 2000 bytes', code: 'ECONNRESET' };
  answering = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n');
    socket.end(data.subarray(0, 1000));
  };
  await assert.rejects(get('/2', 2000), broken);
  assert.deepEqual(requests, ['/1', '/2'], 'it is not asked for again here');
});

test('a server that is silent before or within an answer is given up', async () => {
  const { get } = open(plain, { connectMs: 5000, idleMs: 100 });
  answering = () => undefined;
  await assert.rejects(
    get('/1'),
    (error) => error instanceof SilentConnection && !error.isWithinAnswer && error.name === 'TimeoutError',
  );
  answering = (socket) => socket.write('HTTP/1.1 200 OK\r\n');
  await assert.rejects(get('/2'), (error) => error instanceof SilentConnection && error.isWithinAnswer);
  await sleep(20);
  assert.ok(sockets.every((socket) => socket.destroyed || socket.readableEnded));
});

test('a server that cannot be reached is an error with its code', async () => {
  const { get } = open({ ...plain, port: 1 });
  await assert.rejects(get('/1'), { code: 'ECONNREFUSED' });
});

test('an abort ends an exchange with its reason, and nothing is written into the memory any more', async () => {
  const { pool } = open();
  const ending = new AbortController();
  const reason = new Error('enough');
  const target = new Uint8Array(data.length);
  answering = (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${data.length}\r\n\r\n`);
    socket.write(data.subarray(0, 1000));
  };
  let counted = 0;
  const exchange = pool.send(plain, {
    request: 'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
    targetOf: () => target,
    onBytes: (bytes) => {
      counted += bytes;
      if (counted === 1000) setTimeout(() => ending.abort(reason), 10);
    },
    signal: ending.signal,
  });
  await assert.rejects(exchange, reason);
  target.fill(0);
  sockets[0]?.write(data.subarray(1000));
  await sleep(50);
  assert.ok(target.every((byte) => byte === 0));
  await assert.rejects(open().get('/2', 10, ending.signal), reason);
  assert.equal(sockets.length, 1);
});

test('closing ends what is under way', async () => {
  const { pool, get } = open();
  answering = () => undefined;
  const waiting = get('/1');
  await sleep(50);
  pool.close();
  await assert.rejects(waiting, /closed/);
});

test('only agents that connect to the server themselves have options to connect with', () => {
  class ProxyAgent extends TlsAgent {}
  assert.equal((directOptions(new TlsAgent({ ca: 'a' }), true) as { ca?: string }).ca, 'a');
  assert.ok(directOptions(new PlainAgent(), false));
  for (const [agent, isTls] of [
    [new ProxyAgent(), true],
    [new PlainAgent(), true],
    [new TlsAgent(), false],
    [Object.assign(new PlainAgent(), { options: { proxyEnv: {} } }), false],
    [{}, true],
    [undefined, true],
  ] as const) {
    assert.equal(directOptions(agent, isTls), undefined);
  }
});
