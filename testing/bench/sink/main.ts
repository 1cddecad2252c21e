/** The sink as a process of its own: prints its endpoint and serves until SIGTERM. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { createSink } from './sink.ts';
import { StoredStream } from './stored-stream.ts';

const { values } = parseArgs({
  options: {
    stream: { type: 'string' },
    'delay-ms': { type: 'string', default: '0' },
    'bytes-per-second': { type: 'string' },
    key: { type: 'string' },
    certificate: { type: 'string' },
  },
});

const { stream, key, certificate } = values;
const rate = values['bytes-per-second'];
const sink = createSink({
  stream: stream === undefined ? new StoredStream([]) : await StoredStream.read(stream),
  delayMs: Number(values['delay-ms']),
  bytesPerSecond: rate === undefined ? undefined : Number(rate),
});
const server =
  key !== undefined && certificate !== undefined
    ? createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, sink)
    : createServer(sink);
// A connection that a client keeps for its next part must not end under it, and a slow part may take its time.
server.keepAliveTimeout = 60_000;
server.requestTimeout = 0;
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
console.log(`${key === undefined ? 'http' : 'https'}://127.0.0.1:${port}`);
process.once('SIGTERM', () => process.exit(0));
