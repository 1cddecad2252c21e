/** Retries of a part: its body cannot be sent again by the SDK, so the whole request is ours to repeat. */
import retry from 'p-retry';
import { isTransient } from './s3-errors.ts';

const retries = 4;
const firstDelayMs = 500;

/** A transfer that broke in a way the SDK has no name for: too few bytes, a stall, a digest that does not fit. */
export class TransferError extends Error {
  override readonly name = 'TransferError';
}

/**
 * Runs a request up to five times with exponential back-off and jitter; only what may pass is repeated.
 * @param onRetry is told what went wrong before each wait.
 * @throws the last error, or the signal's reason.
 */
export function withRetries<Result>(
  request: () => Promise<Result>,
  signal: AbortSignal,
  onRetry: (error: Error, attempt: number) => void,
): Promise<Result> {
  return retry(request, {
    retries,
    minTimeout: firstDelayMs,
    factor: 2,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => isTransient(error),
    onFailedAttempt: ({ error, attemptNumber, retriesLeft }) => {
      if (retriesLeft > 0 && isTransient(error)) onRetry(error, attemptNumber);
    },
  });
}
