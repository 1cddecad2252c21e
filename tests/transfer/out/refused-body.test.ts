/** A server that refuses a part without reading it, and keeps the connection: nothing more is sent there, and the next attempt has a way. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { MIB } from '../../../lib/core/units.ts';
import { openTestBucket } from '../../support/bucket.ts';
import { chunkWriting } from '../../support/chunk-writing.ts';

/** Far more than the system holds of a connection that nobody reads from. */
const bytes = Buffer.alloc(16 * MIB, 'x');
/** More than the connections of a client that stores one part at a time. */
const refusals = 12;

const answer = (status: string, headers: string, body = '') =>
  `HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n${headers}\r\n${body}`;
const slowDown = answer(
  '503 Slow Down',
  'Content-Type: application/xml\r\n',
  '<Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>',
);

/** A server that reads the body of a request only after it has refused so many. */
async function refusing(t: TestContext, times: number, settings: Readonly<Record<string, string>>) {
  const connections: Socket[] = [];
  let left = times;
  const server = createServer((socket) => {
    connections.push(socket);
    socket.on('error', () => undefined);
    let head = '';
    let unread = 0;
    socket.on('data', (piece) => {
      if (unread === 0) {
        head += piece.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        if (left > 0) {
          left -= 1;
          socket.pause();
          socket.write(slowDown);
          return;
        }
        unread = bytes.length - (head.length - end - 4);
      } else unread -= piece.length;
      if (unread > 0) return;
      const sha256 = /x-amz-checksum-sha256: (\S+)/i.exec(head)?.[1] ?? '';
      head = '';
      socket.write(answer('200 OK', `ETag: "e"\r\nx-amz-checksum-sha256: ${sha256}\r\n`));
    });
  });
  t.after(() => {
    server.close();
    for (const socket of connections) socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const retries: string[] = [];
  const { port } = server.address() as AddressInfo;
  const bucket = await openTestBucket(
    `http://127.0.0.1:${port}`,
    { CONCURRENCY: '1', ...settings },
    {},
    {
      onRetry: (_, { message }) => retries.push(message),
      sleep: async () => undefined,
      unreachedForMs: 5000,
    },
  );
  t.after(() => bucket.close());
  return { bucket, connections, retries, ...chunkWriting({ bucket, retries }) };
}

for (const [how, settings] of [
  ['at full speed', {}],
  ['below a limit', { LIMIT_UPLOAD: '1000MiB' }],
] as const) {
  test(`a part that is refused unread a dozen times is stored, and counted once: ${how}`, async (t) => {
    const { bucket, connections, retries, writerWith } = await refusing(t, refusals, settings);
    const { writer, seen, bodyOf } = writerWith();
    await writer.putWhole('host/refused', bodyOf(bytes));
    assert.equal(retries.length, refusals);
    for (const message of retries) assert.match(message, /Slow down/);
    assert.equal(seen.sent, bytes.length);
    // What was refused is given up: only the last connection is left, for the next request.
    const { sockets, freeSockets } = bucket.agents.httpAgent;
    const [inUse, kept] = [sockets, freeSockets].map((byServer) => Object.values(byServer).flat().length);
    assert.deepEqual([inUse, kept], [0, 1]);
    assert.equal(connections.length, refusals + 1);
  });
}

test('a connection over which a part was stored carries the next one', async (t) => {
  const { connections, writerWith } = await refusing(t, 0, {});
  const { writer, bodyOf } = writerWith();
  for (const key of ['host/a', 'host/b', 'host/c']) await writer.putWhole(key, bodyOf(bytes));
  assert.equal(connections.length, 1);
});
