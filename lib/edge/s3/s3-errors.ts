/** What an error of S3 or of the network is, and whether its request may be sent again. Words for people: explain-error.ts. */
import { ToolError } from '../../core/errors.ts';

interface S3ErrorShape {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $retryable?: unknown;
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/** A transfer that broke in a way the SDK has no name for: too few bytes, a stall, a digest that does not fit. */
export class TransferError extends Error {
  override readonly name = 'TransferError';
}

/** A body that stalls: the network is down, and is waited for as long as when no connection can be made. */
export class StalledError extends Error {
  override readonly name = 'TimeoutError';
}

/** What the SDK and Node put into an error, as far as it is there: anything may be thrown, and the code of a DOMException is a number. */
export function detailsOf(error: unknown): S3ErrorShape {
  const { name, code, message, $metadata, $retryable, $response } = (error ?? {}) as S3ErrorShape;
  return {
    ...(typeof name === 'string' && { name }),
    ...(typeof code === 'string' && { code }),
    ...(typeof message === 'string' && { message }),
    ...($metadata && { $metadata }),
    ...($response && { $response }),
    $retryable,
  };
}

/** What a ToolError was made of; any other error as it is. */
export function reasonOf(error: unknown): unknown {
  return error instanceof ToolError && error.cause !== undefined ? error.cause : error;
}

/** The region that a refusal says the bucket is in; undefined where it does not say (PermanentRedirect, AuthorizationHeaderMalformed). */
export function regionIn(error: unknown): string | undefined {
  const { $response, message = '' } = detailsOf(error);
  const [, expected] = /expecting '([a-z0-9-]+)'/.exec(message) ?? [];
  const region = expected ?? $response?.headers?.['x-amz-bucket-region'];
  return region !== undefined && /^[a-z0-9-]{1,64}$/.test(region) ? region : undefined;
}

/** True for an error with one of these names, or one made of it (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). */
export function isNamed(error: unknown, ...names: readonly string[]): boolean {
  const reason = reasonOf(error);
  return reason instanceof Error && names.includes(reason.name);
}

/** True when these credentials may not do what was asked. */
export function isDenied(error: unknown): boolean {
  return isNamed(error, 'AccessDenied');
}

/** True when the same request may succeed when it is sent again. */
export function isTransient(error: unknown): boolean {
  const { name = '', $retryable } = detailsOf(error);
  const status = statusOf(error);
  // What is too large stays so, whatever page a proxy shows with it.
  if (status === 413) return false;
  return (
    Boolean($retryable) ||
    (status >= 500 && !neverDone.includes(status) && name !== 'GlacierExpeditedRetrievalNotAvailable') ||
    status === 429 ||
    status === 408 ||
    passing.includes(name) ||
    mayNeverPass(error) ||
    isNetworkError(error)
  );
}

/**
 * By name. RequestTimeout and IncompleteBody: the body did not arrive, or not all of it. ConditionalRequestConflict: another write to this key is under way, after which this one is won or lost
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
 */
const passing: readonly string[] = [
  'SlowDown',
  'RequestTimeout',
  'IncompleteBody',
  'ConditionalRequestConflict',
];

/** NotImplemented and a version of HTTP that is not spoken: retrying will not change that. */
const neverDone: readonly number[] = [501, 505];

/** True for bytes that arrived changed: a bad network may do that a few times, bad memory always. */
export function mayNeverPass(error: unknown): boolean {
  const { name = '' } = detailsOf(error);
  return ['BadDigest', 'XAmzContentSHA256Mismatch', 'TransferError'].includes(name) || isGarbled(error);
}

/**
 * True when the answer could not be parsed: by the SDK, which adds a line of advice for developers to whatever its parser said, or by
 * Node, because it was no HTTP (https://nodejs.org/api/errors.html#http-parser-errors-hpe_).
 */
export function isGarbled(error: unknown): boolean {
  const { code = '', message = '' } = detailsOf(error);
  return code.startsWith('HPE_') || /\bDeserialization error: /.test(message);
}

/** True when the server has too much to do (https://repost.aws/knowledge-center/http-5xx-errors-s3). */
export function asksToSlowDown(error: unknown): boolean {
  const { name = '' } = detailsOf(error);
  return name === 'SlowDown' || [429, 503].includes(statusOf(error));
}

/** The HTTP status of the answer that an error was made of; 0 where there was no answer. */
export function statusOf(error: unknown): number {
  return detailsOf(error).$metadata?.httpStatusCode ?? 0;
}

/** The Retry-After header of the answer that an error was made of. */
export function retryAfterOf(error: unknown): string | undefined {
  return detailsOf(error).$response?.headers?.['retry-after'];
}

/** An abort is asked for by the caller, or follows another failure, which is reported instead. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** True when a connection failed, by the codes of Node and libuv (https://nodejs.org/api/errors.html#common-system-errors). */
export function isNetworkError(error: unknown): boolean {
  const { name = '', code = '', message = '' } = detailsOf(error);
  // The SDK makes a sentence of what kept it from single sign-on, and keeps nothing else of it.
  const isOfCredentials = name === 'CredentialsProviderError' && codesInWords.test(message);
  return name === 'TimeoutError' || networkCodes.test(code) || isOfCredentials || isTlsError(error);
}

const networkCodes =
  /^(ECONN|EPIPE|ETIMEDOUT|EAI_|ENET|EHOST|ENOTCONN|EADDRNOTAVAIL|ENOTFOUND|ERR_STREAM_PREMATURE_CLOSE)/;

const codesInWords =
  /\b(ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|ENETDOWN|EHOSTUNREACH|ENOTFOUND)\b/;

/**
 * True for an alert, such as `bad record mac`, or bytes that are no TLS: a bad network may do that, a wrong address always does. A
 * certificate that is refused is none of these.
 */
export function isTlsError(error: unknown): boolean {
  return /^(EPROTO$|ERR_SSL_)/.test(detailsOf(error).code ?? '');
}

/** True for a certificate that was refused (https://nodejs.org/api/tls.html#x509-certificate-error-codes): it stays so. */
export function isCertificateError(error: unknown): boolean {
  const { code = '' } = detailsOf(error);
  const isCertificate = /CERT|SIGNATURE$|^(UNABLE_TO_|INVALID_CA$|PATH_LENGTH_EXCEEDED$|HOSTNAME_MISMATCH$)/;
  return isCertificate.test(code) && !isTlsError(error);
}
