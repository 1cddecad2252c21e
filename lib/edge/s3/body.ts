/** The body of an answer as it comes in: given up when nothing comes any more, because a dropped line may hang for ever. */
import type { Readable } from 'node:stream';
import { TransferError } from './retry.ts';

const idleTimeoutMs = 60_000;

/**
 * The pieces of a body, which is closed in the end, whatever the end is.
 * @throws TransferError after a minute without a byte, the reason of the signal, or what broke the body.
 */
export async function* piecesOf(
  body: Readable,
  what: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const abort = () => body.destroy(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const idle = setTimeout(
    () => body.destroy(new TransferError(`${what}: no data for a minute`)),
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
