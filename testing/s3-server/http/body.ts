/**
 * Takes a request's body: streamed to a sink in bounded memory, hashed on the way, and held against everything
 * the client said about it. The sink's data count only if this resolves.
 */
import { createHash } from 'node:crypto';
import { decodeAwsChunked } from './aws-chunked.ts';
import { type ChecksumAlgorithm, checksumHeader, createDigest, isChecksumValue } from './checksums.ts';
import { S3Error } from './errors.ts';
import { type ChecksumClaim, claimedChecksum, claimedMd5, declaredLength } from './integrity.ts';
import type { Payload } from './payload.ts';
import type { RequestRecord, S3Request } from './request.ts';

/** What is needed of a call to take its body. */
export interface BodySource {
  readonly request: S3Request;
  readonly payload: Payload;
  readonly record: RequestRecord;
}

/** A body that was taken and verified. */
export interface ReceivedBody {
  readonly sizeBytes: number;
  readonly md5Hex: string;
  /** The checksum the client gave and the bytes have, or the one that was to be computed. */
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: string } | undefined;
}

/** Writes some slices, in order; awaited before more are taken. */
export type BodySink = (slices: readonly Buffer[]) => Promise<void>;

/** Slices are gathered to about this much before they go to the sink, so that a body costs few disk calls. */
const BATCH_BYTES = 1024 * 1024;

async function* countedSlices(source: BodySource): AsyncGenerator<Buffer, void> {
  // A refusal in the middle of a body must not tear down the socket that is to carry the refusal.
  const slices: AsyncIterable<Buffer> = source.request.stream.iterator({ destroyOnReturn: false });
  try {
    for await (const slice of slices) {
      source.record.bytesReceived += slice.length;
      yield slice;
    }
  } catch (cause) {
    // The client went away. No one reads this answer, but the request's record and the sink learn how it ended.
    throw new S3Error('IncompleteBody', { cause });
  }
}

function badChecksum(algorithm: ChecksumAlgorithm): S3Error {
  return new S3Error('BadDigest', {
    message: `The ${algorithm} you specified did not match the calculated checksum.`,
  });
}

function judgeChecksum(claim: ChecksumClaim, computed: string, trailers: ReadonlyMap<string, string>): void {
  const header = checksumHeader(claim.algorithm);
  const value = claim.value ?? trailers.get(header);
  if (value === undefined) {
    throw new S3Error('MalformedTrailerError');
  }
  if (!isChecksumValue(claim.algorithm, value)) {
    throw new S3Error('InvalidRequest', { message: `Value for ${header} trailing header is invalid.` });
  }
  if (value !== computed) {
    throw badChecksum(claim.algorithm);
  }
}

/** What of a request's checksums is about the body. */
export interface ChecksumRules {
  /** What the `x-amz-checksum-*` header is about; only that of the body, the default, is looked at here. */
  readonly of?: 'body' | 'object';
  /** The algorithm to compute when the client claims no checksum. */
  readonly unclaimed?: ChecksumAlgorithm | undefined;
}

/**
 * Reads the whole body into the sink.
 * @throws S3Error MissingContentLength, EntityTooLarge, InvalidDigest, InvalidRequest before anything was written;
 *   IncompleteBody, XAmzContentSHA256Mismatch, BadDigest after it
 */
export async function receiveBody(
  source: BodySource,
  sink: BodySink,
  rules: ChecksumRules = {},
): Promise<ReceivedBody> {
  const { request, payload } = source;
  const chunked = payload.kind === 'unsigned-trailer';
  const length = declaredLength(request, chunked);
  const md5Claim = claimedMd5(request);
  const claim = rules.of === 'object' ? undefined : claimedChecksum(request, chunked);
  const algorithm = claim?.algorithm ?? rules.unclaimed;

  const md5 = createHash('md5');
  const checksum = algorithm === undefined ? undefined : createDigest(algorithm);
  // One pass of SHA-256 serves both the signed payload and the checksum.
  const shared = algorithm === 'SHA256' ? checksum : undefined;
  const sha256 = payload.kind === 'signed' ? (shared ?? createDigest('SHA256')) : undefined;
  const digests = new Set([md5, checksum, sha256].filter((digest) => digest !== undefined));

  const trailers = new Map<string, string>();
  const slices = chunked ? decodeAwsChunked(countedSlices(source), trailers) : countedSlices(source);
  let sizeBytes = 0;
  let batch: Buffer[] = [];
  let batchBytes = 0;
  for await (const slice of slices) {
    sizeBytes += slice.length;
    if (sizeBytes > length) {
      throw new S3Error('InvalidRequest', { message: 'The body is longer than its declared length.' });
    }
    for (const digest of digests) {
      digest.update(slice);
    }
    batch.push(slice);
    batchBytes += slice.length;
    if (batchBytes >= BATCH_BYTES) {
      await sink(batch);
      batch = [];
      batchBytes = 0;
    }
  }
  if (batch.length > 0) {
    await sink(batch);
  }
  if (sizeBytes !== length) {
    throw new S3Error('IncompleteBody');
  }

  const checksumBytes = checksum && Buffer.from(await checksum.digest());
  const sha256Bytes = sha256 === checksum ? checksumBytes : sha256 && Buffer.from(await sha256.digest());
  const sha256Hex = sha256Bytes?.toString('hex');
  if (payload.kind === 'signed' && payload.sha256Hex !== sha256Hex) {
    throw new S3Error('XAmzContentSHA256Mismatch', {
      elements: { ClientComputedContentSHA256: payload.sha256Hex, S3ComputedContentSHA256: sha256Hex ?? '' },
    });
  }
  const md5Bytes = md5.digest();
  if (md5Claim !== undefined && md5Claim !== md5Bytes.toString('base64')) {
    throw new S3Error('BadDigest', {
      elements: { ExpectedDigest: md5Claim, CalculatedDigest: md5Bytes.toString('base64') },
    });
  }
  const value = checksumBytes?.toString('base64');
  if (claim !== undefined && value !== undefined) {
    judgeChecksum(claim, value, trailers);
  }
  return {
    sizeBytes,
    md5Hex: md5Bytes.toString('hex'),
    checksum: algorithm === undefined || value === undefined ? undefined : { algorithm, value },
  };
}
