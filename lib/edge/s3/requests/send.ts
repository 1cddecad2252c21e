/**
 * The one path of a request to S3 and of its answer: retried while it may succeed, explained when it does not, and ended by the
 * bucket's signal, whose reason is then thrown. What a server says is cleaned by the client itself: clean-error.ts.
 */
import type { Readable } from 'node:stream';
import type {
  $Command,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from '@aws-sdk/client-s3';
import { noteRequest } from '../../process/garbage.ts';
import { explainS3Error } from '../explain-error.ts';
import type { Bucket } from '../s3-client.ts';
import { isAbort, StalledError } from '../s3-errors.ts';

/** A command of the SDK, by its input and output. */
type S3Command<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = $Command<
  Input,
  Output,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
>;

const idleTimeoutMs = 60_000;

/**
 * Sends a small request, and retries it while it may succeed.
 * @param what for messages: `list x`, `write y`
 * @throws ToolError that names bucket and server, with the server's error as its cause; the reason of the bucket's signal
 */
export async function send<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  bucket: Bucket,
  what: string,
  command: S3Command<Input, Output>,
): Promise<Output> {
  return attempt(bucket, what, () => sendOnce(bucket, command));
}

/** The same for what takes several requests, or one that is built again each time: `request` sends them with `sendOnce`. */
export async function attempt<Result>(
  bucket: Bucket,
  what: string,
  request: () => Promise<Result>,
): Promise<Result> {
  return explained(bucket, what, bucket.retrier.run(what, request, bucket.signal));
}

/**
 * The same for a request that carries the bytes of a part, of which only so many run at once.
 * @param onBytes gets the number of bytes as they pass; negative when an attempt failed and they will pass again
 */
export async function transfer<Result>(
  bucket: Bucket,
  what: string,
  onBytes: (bytes: number) => void,
  request: (count: (bytes: number) => void) => Promise<Result>,
): Promise<Result> {
  const counted = async () => {
    let passed = 0;
    let isOver = false;
    const count = (bytes: number) => {
      // A body that is given up may bring forth another piece.
      if (isOver) return;
      passed += bytes;
      onBytes(bytes);
    };
    try {
      return await request(count);
    } catch (error) {
      isOver = true;
      onBytes(-passed);
      throw error;
    } finally {
      noteRequest();
    }
  };
  return explained(bucket, what, bucket.retrier.transfer(what, counted, bucket.signal));
}

/** Sends a request a single time, and lets its error through as it is: for use within an attempt, or where a wait is not worth it. */
export async function sendOnce<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  { client, signal }: Bucket,
  command: S3Command<Input, Output>,
): Promise<Output> {
  try {
    return await client.send(command, { abortSignal: signal });
  } catch (error) {
    if (isAbort(error)) signal.throwIfAborted();
    throw error;
  }
}

async function explained<Result>(bucket: Bucket, what: string, result: Promise<Result>): Promise<Result> {
  const { name, server, signal } = bucket;
  try {
    return await result;
  } catch (error) {
    if (signal.aborted && error === signal.reason) throw error;
    throw explainS3Error(error, { what, bucket: name, server });
  }
}

/**
 * The pieces of an answer's body, which is always closed. A body that stalls is abandoned, because a dropped connection may hang
 * for ever.
 * @throws StalledError after a minute without a byte, the reason of the signal, or what broke the body.
 */
export async function* piecesOf(
  body: Readable,
  what: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const abort = () => body.destroy(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const idle = setTimeout(
    () => body.destroy(new StalledError(`${what}: no data for a minute`)),
    idleTimeoutMs,
  );
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      idle.refresh();
      yield piece;
    }
  } finally {
    clearTimeout(idle);
    signal.removeEventListener('abort', abort);
    body.destroy();
  }
}
