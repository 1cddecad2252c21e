/** Ranges out of the bucket: each with an idle timeout and its own retries, because a started body is not retried. */
import type { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { noteReceivedBytes, noteRequest } from '../../edge/process/garbage.ts';
import { piecesOf } from '../../edge/s3/body.ts';
import { explain } from '../../edge/s3/conditions.ts';
import { TransferError } from '../../edge/s3/retry.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import { copyInto } from '../memory/part-pool.ts';

/** Bytes of an object. */
export interface ObjectRange {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
}

/** What a reader tells while it works. */
export interface ReaderEvents {
  /** Bytes received; negative when a failed attempt will fetch them again. */
  readonly onReceived: (bytes: number) => void;
}

/**
 * Fills the target with a range of an object.
 * @throws ToolError when the object cannot be read, or has not that many bytes.
 */
export async function readRange(
  bucket: Bucket,
  range: ObjectRange,
  target: Uint8Array,
  signal: AbortSignal,
  events: ReaderEvents,
): Promise<void> {
  const what = `read ${range.key}`;
  const attempt = async () => {
    let received = 0;
    try {
      await readOnce(bucket, range, target, signal, (bytes) => {
        received += bytes;
        events.onReceived(bytes);
      });
    } catch (error) {
      events.onReceived(-received);
      throw error;
    }
  };
  try {
    await bucket.retrier.transfer(what, attempt, signal);
  } catch (error) {
    throw explain(bucket, what, error);
  }
}

async function readOnce(
  bucket: Bucket,
  { key, offset, length }: ObjectRange,
  target: Uint8Array,
  signal: AbortSignal,
  onReceived: (bytes: number) => void,
): Promise<void> {
  const command = new GetObjectCommand({
    Bucket: bucket.name,
    Key: key,
    Range: `bytes=${offset}-${offset + length - 1}`,
  });
  const response = await bucket.client.send(command, { abortSignal: signal });
  let at = 0;
  try {
    for await (const piece of piecesOf(response.Body as Readable, key, signal)) {
      if (at + piece.length > length) throw new TransferError(`${key}: more bytes than asked for`);
      copyInto(target, at, piece);
      at += piece.length;
      onReceived(piece.length);
      noteReceivedBytes(piece.length);
    }
  } finally {
    noteRequest();
  }
  if (at !== length) throw new TransferError(`${key}: ${at} of ${length} bytes from offset ${offset}`);
}
