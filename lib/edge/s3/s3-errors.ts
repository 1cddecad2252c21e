/** What S3 and the network answer, in words that say what to do. Their own words are cleaned before: clean-error.ts. */
import { type FailureKind, ToolError } from '../../core/errors.ts';

/** What was being done when the error came. */
export interface S3Action {
  /** `store manifest x`, `list the backups` … */
  readonly what: string;
  readonly bucket: string;
  readonly server: string;
}

interface S3ErrorShape {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $retryable?: unknown;
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

interface Explanation {
  readonly says: string;
  readonly hint: string;
  readonly kind?: FailureKind;
}

/** By the error's name, as S3 lists them (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). */
const explanations: Readonly<Record<string, Explanation>> = {
  CredentialsProviderError: {
    says: 'no AWS credentials were found',
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, in the settings file',
    kind: 'usage',
  },
  NoSuchBucket: {
    says: 'the bucket does not exist',
    hint: 'check S3_BUCKET, AWS_REGION and AWS_ENDPOINT_URL_S3',
  },
  InvalidAccessKeyId: { says: 'the access key is not known', hint: 'check AWS_ACCESS_KEY_ID' },
  SignatureDoesNotMatch: { says: 'the signature was refused', hint: 'check AWS_SECRET_ACCESS_KEY' },
  AccessDenied: {
    says: 'access was denied',
    hint: 'check the permissions of these credentials for this bucket',
  },
  ExpiredToken: {
    says: 'the credentials have expired',
    hint: 'renew them and run again; uploaded parts are kept',
  },
  TokenRefreshRequired: { says: 'the credentials have expired', hint: 'renew them and run again' },
  RequestTimeTooSkewed: {
    says: "this host's clock differs from the server's by more than 15 minutes",
    hint: 'set the clock (timedatectl set-ntp true) and run again',
  },
  PermanentRedirect: { says: 'the bucket is in another region', hint: 'check AWS_REGION' },
  AuthorizationHeaderMalformed: { says: 'the bucket is in another region', hint: 'check AWS_REGION' },
  InvalidStorageClass: {
    says: 'the server does not have this storage class',
    hint: 'choose another with STORAGE_CLASS_CHUNKS (chunks) or STORAGE_CLASS_MANIFEST (all else) and run again',
  },
  InvalidObjectState: {
    says: 'the object is in an archive class and not thawed',
    hint: 'request its chain with make thaw SUBVOLUME=name, and come back when that is done',
    kind: 'thaw',
  },
  GlacierExpeditedRetrievalNotAvailable: {
    says: 'there is no capacity for expedited thaws now',
    hint: 'use TIER=Standard (RESTORE_TIER), or try again later',
  },
  NoSuchKey: {
    says: 'the object is missing',
    hint: 'make verify shows all that is affected',
    kind: 'damage',
  },
  SlowDown: { says: 'the server asks to slow down', hint: 'run again later, or lower CONCURRENCY' },
  ENOTFOUND: {
    says: "the server's name cannot be resolved",
    hint: 'check AWS_ENDPOINT_URL_S3, AWS_REGION and DNS',
  },
  ECONNREFUSED: {
    says: 'the connection was refused',
    hint: 'check AWS_ENDPOINT_URL_S3 and whether the server runs',
  },
  403: { says: 'access was denied', hint: 'check the credentials and their permissions for this bucket' },
};

const network: Explanation = { says: 'the network failed', hint: 'run again when the line is back' };

const garbled: Explanation = {
  says: 'the answer makes no sense',
  hint: 'run again; if it stays like this, check AWS_ENDPOINT_URL_S3 and what is between here and the server',
};

/** The error as a line for the user. A ToolError passes as it is; an abort passes as its reason. */
export function explainS3Error(error: unknown, action: S3Action): Error {
  if (error instanceof ToolError || isAbort(error)) return error as Error;
  const { name = '', code = '', message = '' } = (error ?? {}) as S3ErrorShape;
  const status = statusOf(error);
  const explanation =
    (isGarbled(error) ? garbled : undefined) ??
    explanations[code] ??
    explanations[name] ??
    explanations[String(status)] ??
    (isNetworkError(error) ? network : undefined);
  const says =
    explanation?.says ??
    `the server answered ${name || 'an error'}${status ? ` (${status})` : ''}: ${message}`;
  return new ToolError(`cannot ${action.what}: ${says} (bucket ${action.bucket}, ${action.server})`, {
    kind: explanation?.kind ?? 'failed',
    ...(explanation && { hint: explanation.hint }),
    cause: error,
  });
}

/** True when the same request may succeed when it is sent again. */
export function isTransient(error: unknown): boolean {
  const { name = '', $retryable } = (error ?? {}) as S3ErrorShape;
  const status = statusOf(error);
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
 * By name. ConditionalRequestConflict: another write to this key is under way, after which this one is won or lost
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
 */
const passing: readonly string[] = ['SlowDown', 'RequestTimeout', 'ConditionalRequestConflict'];

/** NotImplemented and a version of HTTP that is not spoken: such a server will not learn it meanwhile. */
const neverDone: readonly number[] = [501, 505];

/** True for bytes that arrived otherwise than they were sent: a bad line may do that a few times, bad memory always. */
export function mayNeverPass(error: unknown): boolean {
  const { name = '' } = (error ?? {}) as S3ErrorShape;
  return ['BadDigest', 'XAmzContentSHA256Mismatch', 'TransferError'].includes(name) || isGarbled(error);
}

/** The SDK could not parse the answer; it adds a line of advice for developers to whatever its parser said. */
function isGarbled(error: unknown): boolean {
  return /\bDeserialization error: /.test(((error ?? {}) as S3ErrorShape).message ?? '');
}

/** True when the server has too much to do (https://repost.aws/knowledge-center/http-5xx-errors-s3). */
export function asksToSlowDown(error: unknown): boolean {
  const { name = '' } = (error ?? {}) as S3ErrorShape;
  return name === 'SlowDown' || [429, 503].includes(statusOf(error));
}

/** The HTTP status of the answer that an error was made of; 0 where there was no answer. */
export function statusOf(error: unknown): number {
  return ((error ?? {}) as S3ErrorShape).$metadata?.httpStatusCode ?? 0;
}

/** The Retry-After header of the answer that an error was made of. */
export function retryAfterOf(error: unknown): string | undefined {
  return ((error ?? {}) as S3ErrorShape).$response?.headers?.['retry-after'];
}

/** An abort is the caller's own wish, or the consequence of another failure that is reported instead. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function isNetworkError(error: unknown): boolean {
  const { name = '', code = '' } = (error ?? {}) as S3ErrorShape;
  return (
    name === 'TimeoutError' ||
    /^(ECONN|EPIPE|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ENOTFOUND|ERR_STREAM_PREMATURE_CLOSE)/.test(
      code,
    )
  );
}
