/**
 * What the sink can take or give: so many connections that send one buffer again and again, or read and forget. No S3 client, no
 * hash, no signature. `node --import tsx raw-client.ts put|get URL BYTES CONNECTIONS`; `get` reads ranges of the object at the URL.
 */
import { once } from 'node:events';
import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { partRanges } from '../../../lib/core/stream/part-sizes.ts';
import { MIB } from '../../../lib/core/units.ts';

const [direction, url = '', bytes, connections] = process.argv.slice(2);
const isTls = url.startsWith('https:');
const options = { keepAlive: true, maxSockets: Number(connections) };
const agent = isTls ? new TlsAgent(options) : new PlainAgent(options);
const buffer = Buffer.alloc(MIB, 'raw');
const ranges = [...partRanges(Number(bytes), 64 * MIB)];

async function exchange(offset: number, length: number): Promise<void> {
  const isPut = direction === 'put';
  const headers = isPut ? { 'content-length': length } : { range: `bytes=${offset}-${offset + length - 1}` };
  const method = isPut ? 'PUT' : 'GET';
  const request = (isTls ? tlsRequest : plainRequest)(url, { agent, method, headers });
  const answered = once(request, 'response');
  if (isPut) Readable.from(slices(length), { objectMode: false, highWaterMark: MIB }).pipe(request);
  else request.end();
  const [response] = (await answered) as [IncomingMessage];
  if (response.statusCode !== (isPut ? 200 : 206))
    throw new Error(`the sink answered ${response.statusCode}`);
  response.resume();
  await once(response, 'end');
}

function* slices(length: number): Generator<Buffer> {
  for (let at = 0; at < length; at += MIB) yield buffer.subarray(0, length - at);
}

async function work(): Promise<void> {
  for (let range = ranges.shift(); range; range = ranges.shift()) await exchange(range.offset, range.length);
}

await Promise.all(Array.from({ length: Number(connections) }, work));
agent.destroy();
