/** A server by environment variables: how tests and the harness learn of one that they do not start themselves. */
import type { BucketAccess } from './bucket-access.ts';
import { type Feature, parseFeatures } from './features.ts';

/** A server that is already running, and the place in its bucket to work in. */
export interface NamedServer extends BucketAccess {
  readonly sessionToken: string | undefined;
  /** Empty, or ends with `/`. */
  readonly prefix: string;
  readonly lacks: ReadonlySet<Feature>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads AWS_ENDPOINT_URL_S3 (absent: AWS itself, path style), AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN, S3_BUCKET, S3_PREFIX and S3_LACKS. An empty variable counts as absent.
 * @throws one line that names what is missing or wrong.
 */
export function readServerVariables(environment: Environment): NamedServer {
  const required = ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'S3_BUCKET'] as const;
  const missing = required.filter((name) => !environment[name]);
  if (missing.length > 0) throw new Error(`S3_SERVER=env needs ${missing.join(', ')} in the environment`);
  const { AWS_REGION: region = '', S3_BUCKET: bucket = '', S3_PREFIX } = environment;
  const prefix = (S3_PREFIX ?? '').replace(/^\/+|\/+$/g, '');
  return {
    endpoint: endpointOf(environment.AWS_ENDPOINT_URL_S3 || `https://s3.${region}.amazonaws.com`),
    region,
    bucket,
    accessKeyId: environment.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? '',
    sessionToken: environment.AWS_SESSION_TOKEN || undefined,
    prefix: prefix === '' ? '' : `${prefix}/`,
    lacks: parseFeatures(environment.S3_LACKS ?? ''),
  };
}

/** The variables that describe a server to a child process, as readServerVariables reads them. */
export function serverVariables(
  access: BucketAccess,
  lacks: ReadonlySet<Feature>,
): Readonly<Record<string, string>> {
  return {
    S3_SERVER: 'env',
    AWS_ENDPOINT_URL_S3: access.endpoint,
    AWS_REGION: access.region,
    AWS_ACCESS_KEY_ID: access.accessKeyId,
    AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
    AWS_SESSION_TOKEN: '',
    S3_BUCKET: access.bucket,
    S3_PREFIX: '',
    S3_LACKS: [...lacks].join(','),
  };
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || `${url.pathname}${url.search}` !== '/') {
    throw new Error(`AWS_ENDPOINT_URL_S3 must be http(s)://host[:port], got '${text}'`);
  }
  return url.origin;
}
