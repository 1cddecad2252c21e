/** The body of a part's request: never copied, hashed once. */
import { Readable } from 'node:stream';
import type { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { MIB } from '../../core/units.ts';

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

/** The body in slices: handing over the whole buffer would double the memory under TLS (measured). */
export function requestPayload(body: PartBody, onSent: (bytes: number) => void) {
  const slices = function* (): Generator<Uint8Array> {
    for (const piece of body.pieces) {
      for (let at = 0; at < piece.length; at += MIB) {
        const slice = piece.subarray(at, at + MIB);
        onSent(slice.length);
        yield slice;
      }
    }
  };
  return {
    Body: Readable.from(slices(), { objectMode: false, highWaterMark: MIB }),
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
