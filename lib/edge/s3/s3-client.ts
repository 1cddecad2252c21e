/** The S3 client as settings describe it, and the target that objects are written to. */
import { S3Client, type ServerSideEncryption, type StorageClass } from '@aws-sdk/client-s3';
import { ToolError } from '../../core/errors.ts';
import type { RecoveryPlace } from '../../core/recovery/recovery-place.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import { ConnectionPool } from '../http/connection-pool.ts';
import { RateLimiter } from '../process/rate-limiter.ts';
import { cleanError, cleanErrors } from './clean-error.ts';
import { explainS3Error } from './explain-error.ts';
import { Retrier, type RetrierOptions } from './requests/retry.ts';
import { isNetworkError } from './s3-errors.ts';
import { type Connections, openConnections } from './server/connections.ts';
import { endpointOf, readProfile } from './server/endpoint.ts';
import { type NoticeListener, ServerHabits } from './server/habits.ts';
import { adaptHeaders } from './server/optional-headers.ts';
import { giveUpRefusedBodies } from './server/refused-bodies.ts';
import { refuseWebPages } from './server/web-page.ts';

const connectTimeoutMs = 10_000;
const idleTimeoutMs = 60_000;

/** Where a command works: one bucket of one server. */
export interface Bucket {
  readonly client: S3Client;
  readonly name: string;
  readonly prefix: string;
  readonly region: string;
  /** For messages: the endpoint, or AWS and its region. */
  readonly server: string;
  /** False where another endpoint is set. */
  readonly isAws: boolean;
  /** Ends every request. `{ ...bucket, signal }` is the same bucket for a piece of work that may end earlier. */
  readonly signal: AbortSignal;
  /** Every request of the bucket goes through it, by way of send.ts. */
  readonly retrier: Retrier;
  /** LIMIT_UPLOAD and LIMIT_DOWNLOAD, for the bytes of chunks. */
  readonly limits: { readonly upload: RateLimiter; readonly download: RateLimiter };
  /** For ranges whose bytes do not pass the SDK: direct-get.ts. */
  readonly connections: ConnectionPool;
  /** What the SDK connects with. */
  readonly agents: Connections;
  /** What is known of the server. */
  readonly habits: ServerHabits;
  close(): void;
}

/** What happens while a bucket is used, and what ends it. */
export interface BucketEvents
  extends Pick<
    RetrierOptions,
    'onRetry' | 'onSettled' | 'onSlowDown' | 'unreachedForMs' | 'random' | 'sleep'
  > {
  readonly signal: AbortSignal;
  /** Called with what is found out about the server. */
  readonly onNotice?: NoticeListener;
}

/**
 * Connects to the bucket; nothing is sent yet, but region and credentials are looked for.
 * @param hostName the default of S3_PREFIX.
 * @throws ToolError (usage) when the bucket, the region or credentials are missing.
 */
export async function openBucket(
  settings: SettingValues,
  hostName: string,
  { signal, onNotice = ignore, ...events }: BucketEvents,
): Promise<Bucket> {
  const name = settings.S3_BUCKET;
  if (!name)
    throw new ToolError('S3_BUCKET is not set', {
      kind: 'usage',
      hint: 'name the bucket in the settings file',
    });
  const profile = await readProfile();
  const endpoint = endpointOf(settings, profile);
  // Node 20 is supported; the SDK's notice about future versions is for developers, not for a nightly log.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const credentials = new CredentialsLog();
  const address = addressOf(settings, name, endpoint);
  const agents = await openConnections(settings, address, profile.caBundle);
  const client = new S3Client({
    ...(settings.AWS_REGION && { region: settings.AWS_REGION }),
    ...(endpoint && { endpoint }),
    // Only what has passed the rules counts.
    ignoreConfiguredEndpointUrls: true,
    forcePathStyle: isPathStyle(settings, endpoint),
    // The Retrier repeats requests: its waits end with the run, and it has a deadline.
    maxAttempts: 1,
    // The SDK would ask before each part whether it may send it, and take a new connection for each.
    expectContinueHeader: false,
    logger: credentials,
    // Every checksum is ours: the digest of a part is known before it is sent, and checked after it is read.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      socketTimeout: idleTimeoutMs,
      ...agents,
    },
  });
  cleanErrors(client);
  refuseWebPages(client);
  giveUpRefusedBodies(client);
  const habits = new ServerHabits(settings.S3_CHECKSUMS, onNotice);
  adaptHeaders(client, habits);
  const region = await client.config.region().catch((cause: unknown) => {
    const profile = process.env.AWS_PROFILE;
    const names = profile
      ? `the AWS profile ${profile} is missing or names none`
      : 'no AWS profile names a region';
    throw new ToolError(`AWS_REGION is not set, and ${names}`, {
      kind: 'usage',
      hint: process.env.AWS_DEFAULT_REGION
        ? 'set AWS_REGION in the settings file; AWS_DEFAULT_REGION is read by the aws command alone'
        : 'set AWS_REGION in the settings file',
      cause,
    });
  });
  const server = endpoint ?? `AWS ${region}`;
  const retrier = new Retrier({
    retryForMs: settings.RETRY_FOR * 1000,
    concurrency: settings.CONCURRENCY,
    ...events,
  });
  const what = 'sign requests';
  // Roles and single sign-on ask a server of their own, which a host that wakes up may not reach yet.
  await retrier
    .runElsewhere(what, () => client.config.credentials(), signal)
    .catch((cause: unknown) => {
      signal.throwIfAborted();
      throw explainS3Error(credentials.explain(cause), { bucket: name, server, what });
    });
  const connections = new ConnectionPool({ connectMs: connectTimeoutMs, idleMs: idleTimeoutMs });
  return {
    client,
    name,
    prefix: settings.S3_PREFIX ?? hostName,
    region,
    server,
    isAws: endpoint === undefined,
    signal,
    habits,
    retrier,
    limits: {
      upload: new RateLimiter(settings.LIMIT_UPLOAD),
      download: new RateLimiter(settings.LIMIT_DOWNLOAD),
    },
    connections,
    agents,
    close() {
      client.destroy();
      connections.close();
    },
  };
}

/** Where the bucket is, for people who have to reach it without this program. */
export function recoveryPlaceOf({ client, name, prefix, region, server, isAws }: Bucket): RecoveryPlace {
  const { forcePathStyle } = client.config;
  return { bucket: name, prefix, region, endpoint: isAws ? undefined : server, isPathStyle: forcePathStyle };
}

/** By S3_ADDRESSING; `auto` is what works in most places. */
function isPathStyle({ S3_ADDRESSING }: SettingValues, endpoint: string | undefined): boolean {
  return S3_ADDRESSING === 'auto' ? endpoint !== undefined : S3_ADDRESSING === 'path';
}

/** The address of the bucket, as far as NO_PROXY goes by it. */
function addressOf(settings: SettingValues, bucket: string, endpoint: string | undefined): URL {
  const address = new URL(endpoint ?? `https://s3.${settings.AWS_REGION ?? 'us-east-1'}.amazonaws.com`);
  if (!isPathStyle(settings, endpoint)) address.hostname = `${bucket}.${address.hostname}`;
  return address;
}

/** How objects are written: storage class and server-side encryption, as the SDK names them. */
export interface WriteOptions {
  readonly StorageClass: StorageClass;
  readonly ServerSideEncryption?: ServerSideEncryption;
  readonly SSEKMSKeyId?: string;
}

/** The options for chunks or for manifests and pointers. */
export function writeOptions(settings: SettingValues, what: 'chunks' | 'manifest'): WriteOptions {
  return {
    StorageClass: what === 'chunks' ? settings.STORAGE_CLASS_CHUNKS : settings.STORAGE_CLASS_MANIFEST,
    ...(settings.SSE !== 'none' && { ServerSideEncryption: settings.SSE }),
    ...(settings.SSE_KMS_KEY_ID && { SSEKMSKeyId: settings.SSE_KMS_KEY_ID }),
  };
}

/**
 * The SDK's log, which it would print to the console otherwise. It asks one source of credentials after the other, and in the end
 * says only that none had any; what was wrong with a profile goes to its log alone.
 */
class CredentialsLog {
  readonly #sentences: string[] = [];

  readonly debug = (line: unknown): void => {
    const [, sentence] = /^@smithy\/property-provider -> (.+)/s.exec(String(line)) ?? [];
    if (sentence !== undefined && !isUsual.test(sentence)) this.#sentences.push(sentence);
  };
  readonly info = ignore;
  readonly warn = ignore;
  readonly error = ignore;

  /** The error, in the words of the source that failed where it only says that all of them did. */
  explain(error: unknown): unknown {
    if (!(error instanceof Error)) return error;
    const [first] = this.#sentences;
    if (error.message.startsWith('Could not load credentials') && first !== undefined) error.message = first;
    // What Node says of a file that a profile names, such as that of a web identity's token.
    if (error.name === 'Error' && !isNetworkError(error)) error.name = 'CredentialsProviderError';
    cleanError(error, [process.env.AWS_SECRET_ACCESS_KEY, process.env.AWS_SESSION_TOKEN]);
    return error;
  }
}

/** Sources that are not set up. */
const isUsual =
  /^(AWS_PROFILE is set|AWS_EC2_METADATA_V1_DISABLED not set|Skipping |Unable to find environment|Web identity |EC2 |Could not .* profile: \[default\]|Profile default could|Profile .* did not contain)/;

function ignore(): void {}
