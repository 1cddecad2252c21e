/** The body of a part's request: never copied, hashed once. */
import { Readable } from 'node:stream';
import type { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { KIB, MIB } from '../../core/units.ts';
import type { RateLimiter } from '../../edge/process/rate-limiter.ts';

/** Bytes to send, in pieces, with their SHA-256 in base64. `md5` is asked for only where the server has no SHA-256 checksums. */
export interface PartBody {
  readonly pieces: readonly Uint8Array[];
  readonly sha256: string;
  readonly md5: () => Promise<string>;
}

/** The bytes of a body. */
export function sizeOf({ pieces }: PartBody): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** What holds bytes back. */
export interface UploadLimit {
  readonly limiter: RateLimiter;
  readonly signal: AbortSignal;
}

/** Small, so that connections which share a low limit all go on, and none looks dead to the server. */
const limitedSliceBytes = 32 * KIB;

/** The body in slices: handing over the whole buffer would double the memory under TLS (measured). */
export function requestPayload(body: PartBody, onSent: (bytes: number) => void, limit?: UploadLimit) {
  const slices = function* (bytes: number): Generator<Uint8Array> {
    for (const piece of body.pieces) {
      for (let at = 0; at < piece.length; at += bytes) yield piece.subarray(at, at + bytes);
    }
  };
  const counted = function* (): Generator<Uint8Array> {
    for (const slice of slices(MIB)) {
      onSent(slice.length);
      yield slice;
    }
  };
  const heldBack = async function* ({ limiter, signal }: UploadLimit): AsyncGenerator<Uint8Array> {
    for (const slice of slices(limitedSliceBytes)) {
      await limiter.pass(slice.length, signal);
      onSent(slice.length);
      yield slice;
    }
  };
  const stream = Readable.from(limit ? heldBack(limit) : counted(), {
    objectMode: false,
    highWaterMark: MIB,
  });
  // The signal ends the request as well, and that says why. The SDK pipes the body and takes no error of it, which would end the process.
  stream.on('error', () => undefined);
  return {
    Body: stream,
    ContentLength: sizeOf(body),
    ChecksumSHA256: body.sha256,
  };
}

/** The command with its payload's hash: the SDK's signer takes one that stands in the headers, and hashes nothing itself. */
export function presetPayloadHash<Command extends PutObjectCommand | UploadPartCommand>(
  command: Command,
  sha256: string,
): Command {
  const hash = Buffer.from(sha256, 'base64').toString('hex');
  // Both commands take the same middleware at this step; only their input types differ.
  (command as UploadPartCommand).middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = hash;
      return next(args);
    },
    { step: 'build', name: 'presetPayloadHash' },
  );
  return command;
}
