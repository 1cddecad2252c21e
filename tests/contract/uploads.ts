/** Multipart uploads for the tests: begun, fed and completed in few words. */
import {
  type ChecksumAlgorithm,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  type CompleteMultipartUploadCommandOutput,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { freshKey, type Target } from './target.ts';

/** The smallest part that need not be the last, in bytes. */
export const MIN_PART_BYTES = 5 * 1024 * 1024;

/** An upload in progress, with the calls that go on with it. */
export interface Upload {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
  put(partNumber: number, body: Buffer | string): Promise<CompletedPart>;
  complete(
    parts: readonly CompletedPart[],
    more?: Partial<CompleteMultipartUploadCommandInput>,
  ): Promise<CompleteMultipartUploadCommandOutput>;
}

/** Begins an upload; the parts bring checksums of the given algorithm. */
export type BeginUpload = (
  algorithm: ChecksumAlgorithm | undefined,
  more?: Partial<CreateMultipartUploadCommandInput>,
  key?: string,
) => Promise<Upload>;

/** What begins uploads in a bucket of the target, by default the one of all tests. */
export function uploader(target: Target, Bucket = target.bucket): BeginUpload {
  const { client } = target;
  return async (wanted, more = {}, Key = freshKey(target)) => {
    const algorithm = target.withoutChecksums ? undefined : wanted;
    const checksum = algorithm === undefined ? {} : { ChecksumAlgorithm: algorithm };
    const { UploadId = '' } = await client.send(
      new CreateMultipartUploadCommand({ Bucket, Key, ...checksum, ...more }),
    );
    return {
      Bucket,
      Key,
      UploadId,
      async put(PartNumber, Body) {
        const part = await client.send(
          new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...checksum }),
        );
        const value = algorithm === undefined ? undefined : part[`Checksum${algorithm}`];
        return {
          PartNumber,
          ETag: part.ETag,
          ...(value === undefined ? {} : { [`Checksum${algorithm}`]: value }),
        };
      },
      async complete(parts, extra = {}) {
        const MultipartUpload = { Parts: [...parts] };
        return await client.send(
          new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload, ...extra }),
        );
      },
    };
  };
}
