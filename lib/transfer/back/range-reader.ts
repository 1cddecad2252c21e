/** Ranges out of the bucket: each with an idle timeout and its own retries, because a started body is not retried. */
import type { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { noteReceivedBytes } from '../../edge/process/garbage.ts';
import { getInto } from '../../edge/s3/direct-get.ts';
import { piecesOf, sendOnce, transfer } from '../../edge/s3/requests/send.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import { TransferError } from '../../edge/s3/s3-errors.ts';
import { copyInto } from '../memory/part-pool.ts';

/** Bytes of an object. */
export interface ObjectRange {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
}

/** What a reader reports while it works. */
export interface ReaderEvents {
  /** Bytes received; negative when a failed attempt will fetch them again. */
  readonly onReceived: (bytes: number) => void;
}

/**
 * Fills the target with a range of an object.
 * @throws ToolError when the object cannot be read, or has not that many bytes; the reason of the bucket's signal
 */
export async function readRange(
  bucket: Bucket,
  range: ObjectRange,
  target: Uint8Array,
  { onReceived }: ReaderEvents,
): Promise<void> {
  await transfer(bucket, `read ${range.key}`, onReceived, (count) => readOnce(bucket, range, target, count));
}

async function readOnce(
  bucket: Bucket,
  { key, offset, length }: ObjectRange,
  target: Uint8Array,
  count: (bytes: number) => void,
): Promise<void> {
  const Range = `bytes=${offset}-${offset + length - 1}`;
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key, Range });
  const { download } = bucket.limits;
  // What goes from the socket into its memory cannot be held back.
  const output = download.isSet
    ? await sendOnce(bucket, command)
    : await getInto(bucket, { command, offset, target: target.subarray(0, length), onBytes: count });
  if (!output) return;
  let at = 0;
  for await (const piece of piecesOf(output.Body as Readable, key, bucket.signal)) {
    if (at + piece.length > length) throw new TransferError(`${key}: more bytes than asked for`);
    copyInto(target, at, piece);
    at += piece.length;
    count(piece.length);
    noteReceivedBytes(piece.length);
    if (download.isSet) await download.pass(piece.length, bucket.signal);
  }
  if (at !== length) throw new TransferError(`${key}: ${at} of ${length} bytes from offset ${offset}`);
}
