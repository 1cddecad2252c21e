/** What S3 and the network answer, in words that say what to do; what they themselves say of the cause stands behind. */
import { type FailureKind, ToolError } from '../../core/errors.ts';
import { cleanText } from './clean-error.ts';
import {
  detailsOf,
  isAbort,
  isCertificateError,
  isGarbled,
  isNetworkError,
  isTlsError,
  statusOf,
} from './s3-errors.ts';

/** What was being done when the error came. */
export interface S3Action {
  /** `store manifest x`, `list the backups` … */
  readonly what: string;
  readonly bucket: string;
  readonly server: string;
}

interface Explanation {
  readonly says: string;
  readonly hint: string;
  readonly kind?: FailureKind;
}

const noCredentials: Explanation = {
  says: 'no AWS credentials were found',
  hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, in the settings file',
  kind: 'usage',
};

/** What to do about credentials that a profile was to give. A timer cannot log in, nor enter a code. */
function hintAtProfile(profile: string): string {
  const home = `${process.env.HOME ?? ''}/.aws`;
  const {
    AWS_CONFIG_FILE: config = `${home}/config`,
    AWS_SHARED_CREDENTIALS_FILE: shared = `${home}/credentials`,
  } = process.env;
  return `check the profile ${profile} in ${config} and ${shared}; for a timer it has to last: keys, or a role of this machine`;
}

/** The cure for a storage class that the server does not have. */
export const chooseClass =
  'choose another with STORAGE_CLASS_CHUNKS (chunks) or STORAGE_CLASS_MANIFEST (all else) and run again';

/** The cure where a server takes only parts of one size: what is compressed is of many, and what is encrypted alone of one. */
export const equalParts =
  'leave COMPRESS=none, or make each chunk one part with a CHUNK_SIZE no larger than PART_SIZE';

/** Alibaba's and Tencent's codes for a bucket that is named in the path. */
const virtualOnly: Explanation = {
  says: 'the server wants the bucket in the host name',
  hint: 'set S3_ADDRESSING=virtual',
};

/** Ceph's and MinIO's codes for a bucket, or a server, that is full. */
const fullBucket: Explanation = {
  says: 'the bucket has no room left',
  hint: 'raise its quota, or make room with make prune APPLY=1',
};

/** By the error's name, as S3 lists them (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). */
const explanations: Readonly<Record<string, Explanation>> = {
  CredentialsProviderError: noCredentials,
  TokenProviderError: noCredentials,
  NoSuchBucket: {
    says: 'the bucket does not exist',
    hint: 'check S3_BUCKET, AWS_REGION and AWS_ENDPOINT_URL_S3',
  },
  InvalidAccessKeyId: {
    says: 'the access key is not known',
    hint: 'check AWS_ACCESS_KEY_ID, and that AWS_ENDPOINT_URL_S3 names the server that gave it',
  },
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
    hint: chooseClass,
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
  WebPage: {
    says: 'a web page came instead of an answer of S3',
    hint: 'AWS_ENDPOINT_URL_S3 must be the address of the API, not of a console; a network may also show a log-in page first',
  },
  QuotaExceeded: fullBucket,
  XMinioAdminBucketQuotaExceeded: fullBucket,
  XMinioStorageFull: fullBucket,
  SlowDown: { says: 'the server asks to slow down', hint: 'run again later, or lower CONCURRENCY' },
  SecondLevelDomainForbidden: virtualOnly,
  PathStyleDomainForbidden: virtualOnly,
  ProxyFailure: {
    says: 'no connection to the server',
    hint: 'check HTTPS_PROXY and NO_PROXY, in the settings file and in the environment',
  },
  ENOTFOUND: {
    says: "the server's name cannot be resolved",
    hint: 'check AWS_ENDPOINT_URL_S3, S3_ADDRESSING, AWS_REGION and DNS; where only a proxy leads out, set HTTPS_PROXY',
  },
  ECONNREFUSED: {
    says: 'the connection was refused',
    hint: 'check AWS_ENDPOINT_URL_S3 and whether the server runs',
  },
  403: { says: 'access was denied', hint: 'check the credentials and their permissions for this bucket' },
};

const tls: Explanation = {
  says: 'the TLS connection failed',
  hint: 'run again; if it stays like this, check AWS_ENDPOINT_URL_S3 and what is between here and the server',
};

/** OpenSSL's words for an answer that is not TLS (https://nodejs.org/api/errors.html#openssl-error-codes). */
const noTls: Explanation = {
  says: 'the server does not speak TLS there',
  hint: 'check AWS_ENDPOINT_URL_S3: write http:// where the server has no TLS, or its other port',
};

/** A certificate that does not hold (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const certificate: Explanation = {
  says: "the server's certificate is not trusted",
  hint: 'where a CA of your own has signed it, name its certificates with AWS_CA_BUNDLE; where the name does not fit, check AWS_ENDPOINT_URL_S3 and S3_ADDRESSING',
};

const tooLarge: Explanation = {
  says: 'the server, or a proxy in front of it, takes no request as large (413)',
  hint: 'lower PART_SIZE (5MiB is the least, with CHUNK_SIZE=48GiB), or raise the limit there (nginx: client_max_body_size)',
};

/** Cloudflare R2's (https://developers.cloudflare.com/r2/objects/multipart-objects/). */
const unequalParts: Explanation = {
  says: 'the server takes only parts of one size',
  hint: equalParts,
};

const network: Explanation = { says: 'the network failed', hint: 'run again when the network is back' };

const garbled: Explanation = {
  says: 'the answer makes no sense',
  hint: 'run again; if it stays like this, check AWS_ENDPOINT_URL_S3 and what is between here and the server',
};

/** What servers other than S3 refuse, by what they say of it (testing/s3-server/habits/providers.ts has their words). */
const refusals: readonly (readonly [RegExp, Explanation])[] = [
  [
    /x-amz-(sdk-)?checksum/i,
    { says: 'the server refuses a header with a checksum', hint: 'set S3_CHECKSUMS=md5, or auto' },
  ],
  [
    /x-amz-server-side-encryption|server.side encryption|kms is not configured/i,
    { says: 'the server refuses server-side encryption', hint: 'set SSE=none' },
  ],
  [
    /x-amz-storage-class|storage class/i,
    { says: 'the server does not have this storage class', hint: chooseClass },
  ],
];

function refusalOf(error: unknown): Explanation | undefined {
  const { name = '', message = '' } = detailsOf(error);
  if (statusOf(error) === 413) return tooLarge;
  // Backblaze's has the code of a denial (https://github.com/restic/restic/issues/3582).
  if (statusOf(error) === 403 && /\bstorage cap|\bquota\b/i.test(message)) return fullBucket;
  if (name === 'InvalidPart' && /same (length|size)/i.test(message)) return unequalParts;
  const isOfHeader =
    statusOf(error) === 501 || (statusOf(error) === 400 && /^Invalid(Argument|Request)$/.test(name));
  return isOfHeader ? refusals.find(([words]) => words.test(message))?.[1] : undefined;
}

/** Sentences that say no more than the words above: S3's usual ones, and those of the SDK where there is nothing to say. */
const usualSentences: readonly string[] = [
  '413',
  'Access Denied',
  'Could not load credentials from any providers',
  'The AWS Access Key Id you provided does not exist in our records',
  'The difference between the request time and the current time is too large',
  "The operation is not valid for the object's storage class",
  'The provided token has expired',
  'The request signature we calculated does not match the signature you provided. Check your key and signing method',
  'The specified bucket does not exist',
  'The specified key does not exist',
  'The storage class you specified is not valid',
  'Unknown',
  'UnknownError',
];

/** The error as a line for the user. A ToolError passes as it is; an abort passes as its reason. */
export function explainS3Error(error: unknown, action: S3Action): Error {
  if (error instanceof ToolError || isAbort(error)) return error as Error;
  const { name = '', code = '', message = '' } = detailsOf(error);
  const status = statusOf(error);
  const explanation =
    refusalOf(error) ??
    (isGarbled(error) ? garbled : undefined) ??
    explanations[name] ??
    explanations[code] ??
    (isCertificateError(error) ? certificate : undefined) ??
    (isNoTls(error) ? noTls : undefined) ??
    (isTlsError(error) ? tls : undefined) ??
    explanations[String(status)] ??
    (isNetworkError(error) ? network : undefined);
  const says = explanation
    ? [explanation.says, ...sentenceOf(error)].join(': ')
    : `the server answered ${name || 'an error'}${status ? ` (${status})` : ''}: ${message}`;
  return new ToolError(`cannot ${action.what}: ${says} (bucket ${action.bucket}, ${action.server})`, {
    kind: explanation?.kind ?? 'failed',
    ...(explanation && { hint: hintOf(explanation) }),
    cause: error,
  });
}

function isNoTls(error: unknown): boolean {
  return isTlsError(error) && /wrong version number/i.test(detailsOf(error).message ?? '');
}

function hintOf(explanation: Explanation): string {
  const profile = process.env.AWS_PROFILE;
  return explanation === noCredentials && profile ? hintAtProfile(profile) : explanation.hint;
}

/** What the server says of a refusal, the SDK of credentials, or OpenSSL of a connection: at most one sentence, cleaned. */
function sentenceOf(error: unknown): readonly string[] {
  const { name = '', message = '' } = detailsOf(error);
  const status = statusOf(error);
  const isTold =
    (status >= 400 && status < 500) ||
    status === 501 ||
    explanations[name] === noCredentials ||
    name === 'ProxyFailure' ||
    (isTlsError(error) && !isNoTls(error)) ||
    isCertificateError(error);
  const { Endpoint } = error as { readonly Endpoint?: unknown };
  if (name === 'PermanentRedirect' && typeof Endpoint === 'string')
    return [`it is at ${cleanText(Endpoint, [])}`];
  const sentence = isGarbled(error) ? '' : cleanText(message, []).replace(/[.\s]+$/, '');
  return isTold && !['', name, ...usualSentences].includes(sentence) ? [sentence] : [];
}
