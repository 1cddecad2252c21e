/** How fast this host uploads: parts of an upload that is given up afterwards, so that nothing is left. */
import { randomBytes } from 'node:crypto';
import { CreateMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { MIB } from '../../../core/units.ts';
import { endingWithin } from '../../process/abort-scope.ts';
import { abandonUpload } from '../multipart-uploads.ts';
import { send, sendOnce, transfer } from '../requests/send.ts';
import type { Bucket, WriteOptions } from '../s3-client.ts';

/** The least that S3 takes for a part, so that a slow line is measured in seconds, too. */
const partBytes = 5 * MIB;

/** How long it is sent, and how much at most. */
export interface RateProbe {
  readonly forMs: number;
  readonly mostBytes: number;
  readonly concurrency: number;
}

/**
 * Sends random bytes, which nothing on the way can compress.
 * @returns bytes a second
 * @throws ToolError
 */
export async function measureUpload(
  bucket: Bucket,
  key: string,
  options: WriteOptions,
  { forMs, mostBytes, concurrency }: RateProbe,
): Promise<number> {
  const place = { Bucket: bucket.name, Key: key };
  const begin = new CreateMultipartUploadCommand({ ...place, ...options });
  const { UploadId = '' } = await send(bucket, `begin ${key}`, begin);
  const bytes = randomBytes(partBytes);
  const startedMs = performance.now();
  let number = 0;
  let sent = 0;
  const { ending, signal } = endingWithin(bucket.signal);
  const sending = { ...bucket, signal };
  const isDone = () => performance.now() - startedMs >= forMs || number * partBytes >= mostBytes;
  const sendParts = async () => {
    // One part each at least: a line that is slower than the time allows is measured by those.
    do {
      number += 1;
      const part = new UploadPartCommand({ ...place, UploadId, PartNumber: number, Body: bytes });
      await transfer(
        sending,
        `send part ${number} of ${key}`,
        () => undefined,
        () => sendOnce(sending, part),
      );
      sent += partBytes;
    } while (!isDone());
  };
  const senders = Array.from({ length: concurrency }, sendParts);
  try {
    await Promise.all(senders);
    return sent / ((performance.now() - startedMs) / 1000);
  } finally {
    // A part that is still on its way may be stored after its upload was aborted.
    ending.abort();
    await Promise.allSettled(senders);
    await abandonUpload(bucket, { key, uploadId: UploadId });
  }
}
