/**
 * The worker's side of hashing: SHA-256 of the part, the chunk and the whole stream, in one pass over shared memory.
 * The first chunk begins where the stream begins, so its hash is a copy of the stream's: one pass less for most backups.
 */
import { createHash, type Hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { HashReply, HashRequest } from './hasher.ts';

if (!parentPort) throw new Error('hash-worker.ts runs as a worker');
const port = parentPort;
const slots = workerData as readonly Uint8Array[];

const stream = createHash('sha256');
let part = createHash('sha256');
/** Undefined in the first chunk. */
let chunk: Hash | undefined;

port.on('message', (request: HashRequest) => {
  if (request.type === 'update') {
    const bytes = slotBytes(request.slot, request.from, request.to);
    part.update(bytes);
    chunk?.update(bytes);
    stream.update(bytes);
  } else if (request.type === 'md5') {
    reply({
      md5: createHash('md5')
        .update(slotBytes(request.slot, 0, request.to))
        .digest('base64'),
    });
  } else {
    const digests = {
      part: part.digest('base64'),
      chunk: request.endsChunk ? (chunk ?? stream).copy().digest('hex') : '',
      stream: request.endsChunk ? stream.copy().digest('hex') : '',
    };
    part = createHash('sha256');
    if (request.endsChunk) chunk = createHash('sha256');
    reply(digests);
  }
});

function slotBytes(slot: number, from: number, to: number): Uint8Array {
  const bytes = slots[slot];
  if (!bytes) throw new Error(`there is no slot ${slot}`);
  return bytes.subarray(from, to);
}

function reply(message: HashReply): void {
  port.postMessage(message);
}
