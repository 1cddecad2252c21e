/** The checksum algorithms of `x-amz-checksum-*`: their names, headers, running digests, and the composite form. */
import { createHash } from 'node:crypto';
import { Crc32, Crc32c, Crc64NvmeJs } from '@aws-sdk/checksums/crc';
import { S3Error } from './errors.ts';

/** The algorithms this server computes, by S3's names. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;

/** One of S3's checksum algorithms. */
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** A digest that is fed piece by piece. */
export interface RunningDigest {
  update(data: Uint8Array): unknown;
  digest(): Uint8Array | Promise<Uint8Array>;
}

const DIGEST_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
};

/** Begins a running digest of one algorithm. */
export function createDigest(algorithm: ChecksumAlgorithm): RunningDigest {
  switch (algorithm) {
    case 'CRC32':
      return new Crc32();
    case 'CRC32C':
      return new Crc32c();
    case 'CRC64NVME':
      return new Crc64NvmeJs();
    case 'SHA1':
      return createHash('sha1');
    case 'SHA256':
      return createHash('sha256');
  }
}

/** The header that carries a checksum, `x-amz-checksum-sha256` for SHA256. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/**
 * The algorithm of a name as clients write it, in any case.
 * @throws S3Error InvalidRequest for a name S3 does not know.
 */
export function parseAlgorithm(name: string): ChecksumAlgorithm {
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === name.toUpperCase());
  if (algorithm === undefined) {
    throw new S3Error('InvalidRequest', {
      message: `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
    });
  }
  return algorithm;
}

/** Whether a text is the base64 of a digest of this algorithm, in its one canonical spelling. */
export function isChecksumValue(algorithm: ChecksumAlgorithm, value: string): boolean {
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === DIGEST_BYTES[algorithm] && bytes.toString('base64') === value;
}

/**
 * The composite checksum of a multipart object: the digest of the parts' digests, and how many there are
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html, "composite").
 * @param values base64 digests of the parts, in part order
 */
export async function compositeChecksum(
  algorithm: ChecksumAlgorithm,
  values: readonly string[],
): Promise<string> {
  const digest = createDigest(algorithm);
  for (const value of values) {
    digest.update(Buffer.from(value, 'base64'));
  }
  return `${Buffer.from(await digest.digest()).toString('base64')}-${values.length}`;
}
