/**
 * What hashes: SHA-256 of the part, the chunk and the whole stream, over shared memory.
 * The first chunk begins where the stream begins, so its hash is a copy of the stream's: one pass less for most backups.
 */
import type { Hash } from 'node:crypto';
import type { viewsOf } from '../../core/stream/chunker.ts';

/** What a worker is started with: one may hash all, or two share the work. */
export interface HashWorkerData {
  /** The pieces of each. One of 4 GiB or more would arrive shorter than it is. */
  readonly slots: readonly (readonly Uint8Array[])[];
  readonly hashesParts: boolean;
  /** The stream and its chunks. */
  readonly hashesStream: boolean;
}

/** A message to the worker; slots by number, positions in bytes. */
export type HashRequest =
  | { readonly type: 'update'; readonly slot: number; readonly from: number; readonly to: number }
  | { readonly type: 'finish-part'; readonly endsChunk: boolean }
  | { readonly type: 'catch-up' }
  | { readonly type: 'take-part-back' }
  | { readonly type: 'begin-stream'; readonly partsOnly: boolean }
  | { readonly type: 'md5'; readonly pieces: readonly { readonly slot: number; readonly to: number }[] };

/** SHA-256 of a part in base64; of its chunk and of the stream so far in hex, at the end of a chunk, where not only parts are hashed. */
export interface PartDigests {
  readonly part: string;
  readonly chunk: string;
  readonly stream: string;
}

export type HashReply = PartDigests | { readonly md5: string } | 'caught up';

/**
 * Begins to hash, and gives what answers the requests, one after the other. It is handed to a worker as text, because Node 20 needs a loader for
 * TypeScript in every thread, and that loader costs 17 MiB (measured); so it may use nothing but its parameters.
 * @throws what it gives: an Error where a request names a slot, or bytes of one, that there are not
 */
export function startHashing(
  { slots, hashesParts, hashesStream }: HashWorkerData,
  { createHash }: Pick<typeof import('node:crypto'), 'createHash'>,
  viewsOfPieces: typeof viewsOf,
): (request: HashRequest) => HashReply | undefined {
  const begin = () => ({ stream: createHash('sha256'), chunk: undefined as Hash | undefined });
  /** Without a hash of the chunk, it is the stream's. */
  let running = begin();
  let part = createHash('sha256');
  /** As the running hashes were before the first bytes of the part. */
  let before = running;
  let isNewPart = true;
  let isStreamHashed = hashesStream;
  const bytesOf = (index: number, from: number, to: number) => {
    const pieces = slots[index];
    if (!pieces) throw new Error(`there is no slot ${index}`);
    return viewsOfPieces(pieces, from, to);
  };
  return (request) => {
    if (request.type === 'update') {
      if (isNewPart) before = { stream: running.stream.copy(), chunk: running.chunk?.copy() };
      isNewPart = false;
      for (const bytes of bytesOf(request.slot, request.from, request.to)) {
        if (hashesParts) part.update(bytes);
        if (!isStreamHashed) continue;
        running.stream.update(bytes);
        running.chunk?.update(bytes);
      }
      return undefined;
    }
    if (request.type === 'catch-up') return 'caught up';
    if (request.type === 'md5') {
      const md5 = createHash('md5');
      for (const piece of request.pieces) {
        for (const bytes of bytesOf(piece.slot, 0, piece.to)) md5.update(bytes);
      }
      return { md5: md5.digest('base64') };
    }
    if (request.type === 'finish-part') {
      const ends = request.endsChunk && isStreamHashed;
      const { stream, chunk = stream } = running;
      const digests = {
        part: part.digest('base64'),
        chunk: ends ? chunk.copy().digest('hex') : '',
        stream: ends ? stream.copy().digest('hex') : '',
      };
      part = createHash('sha256');
      isNewPart = true;
      if (ends) running = { stream, chunk: createHash('sha256') };
      return digests;
    }
    running = request.type === 'begin-stream' ? begin() : before;
    if (request.type === 'begin-stream') isStreamHashed = hashesStream && !request.partsOnly;
    part = createHash('sha256');
    isNewPart = true;
    return undefined;
  };
}
