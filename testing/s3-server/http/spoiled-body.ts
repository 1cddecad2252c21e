/** Bodies made slow, interrupted, cut or wrong on their way through. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Response } from './call.ts';

/** A body in pieces. */
type Pieces = AsyncIterable<Buffer>;

/** Slow bodies move in steps of about this many milliseconds. */
const STEP_MS = 50;

/** The longest that a timer can be set to: 24 days. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** Waits `ms` milliseconds, or for ever, but no longer than the client is there. */
export async function pause(ms: number | undefined, gone: AbortSignal): Promise<void> {
  try {
    await sleep(ms ?? FOR_EVER_MS, undefined, { signal: gone });
  } catch (error) {
    if (!gone.aborted) {
      throw error;
    }
  }
}

/** Lets a body through at a rate. */
export async function* slowly(source: Pieces, bytesPerSecond: number, gone: AbortSignal): Pieces {
  const step = Math.max(1, Math.floor((bytesPerSecond * STEP_MS) / 1000));
  const begun = performance.now();
  let bytes = 0;
  for await (const piece of source) {
    for (let from = 0; from < piece.length; from += step) {
      const slice = piece.subarray(from, from + step);
      bytes += slice.length;
      const due = begun + (bytes * 1000) / bytesPerSecond;
      await pause(Math.max(0, due - performance.now()), gone);
      yield slice;
    }
  }
}

/** The first bytes of a body. */
export async function* cutAfter(source: Pieces, bytes: number): Pieces {
  let left = bytes;
  for await (const piece of source) {
    if (piece.length >= left) {
      yield piece.subarray(0, left);
      return;
    }
    left -= piece.length;
    yield piece;
  }
}

/** Lets the first bytes of a body through, and the rest after a pause. */
export async function* stalledAfter(
  source: Pieces,
  bytes: number,
  ms: number | undefined,
  gone: AbortSignal,
): Pieces {
  let left = bytes;
  for await (const piece of source) {
    if (left >= 0 && piece.length > left) {
      yield piece.subarray(0, left);
      await pause(ms, gone);
      yield piece.subarray(left);
      left = -1;
    } else {
      left -= left < 0 ? 0 : piece.length;
      yield piece;
    }
  }
}

/** Changes every bit of one byte. */
export async function* flippedAt(source: Pieces, offset: number): Pieces {
  let start = 0;
  for await (const piece of source) {
    const index = offset - start;
    start += piece.length;
    if (index >= 0 && index < piece.length) {
      const wrong = Buffer.from(piece);
      wrong.writeUInt8(wrong.readUInt8(index) ^ 0xff, index);
      yield wrong;
    } else {
      yield piece;
    }
  }
}

/** Turns pieces into a stream again. The source goes with it, read or not. */
export function streamOf(source: Readable, spoil: (pieces: Pieces) => Pieces): Readable {
  const pieces = source.iterator({ destroyOnReturn: false }) as Pieces;
  return Readable.from(spoil(pieces), { objectMode: false });
}

/**
 * Spoils the body of an answer; its length stays what the headers say.
 * @param spoil is given the pieces and the length in bytes
 */
export function spoilBody(
  response: S3Response,
  spoil: (pieces: Pieces, length: number) => Pieces,
): S3Response & { readonly body?: Readable } {
  const { status, headers, body } = response;
  if (body === undefined) {
    return { status, ...(headers === undefined ? {} : { headers }) };
  }
  const length = typeof body === 'string' ? Buffer.byteLength(body) : Number(headers?.['content-length']);
  const source = typeof body === 'string' ? Readable.from([Buffer.from(body)], { objectMode: false }) : body;
  const spoiled = streamOf(source, (pieces) => spoil(pieces, length));
  // A generator that was never begun does not end its source.
  spoiled.once('close', () => source.destroy());
  return { status, headers: { ...headers, 'content-length': String(length) }, body: spoiled };
}
