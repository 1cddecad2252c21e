/** The command line of the S3 server. */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { readFaultRules } from './faults/fault-rules.ts';
import { type ProviderName, providerNames } from './habits/providers.ts';
import type { S3ServerOptions } from './server.ts';

/** What `--help` prints. */
export const HELP = `Usage: node --import tsx testing/s3-server/main.ts --directory DIR [options]

Serves S3 on 127.0.0.1 from a directory until SIGINT or SIGTERM.
The account is taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

  --directory DIR        where objects are kept; made when missing
  --port PORT            0 (default) takes any free port; the endpoint is printed on standard output
  --region REGION        us-east-1 (default)
  --bucket NAME          a bucket to make at the start; can be given several times
  --provider NAME        the habits of a provider instead of S3's (README.md): one of
                         ${providerNames.join(', ')}
  --list-page-size N     most keys on one page of a listing, 1 to 1000 (default)
  --thaw-delay-ms MS     from a restore request to the object being readable, 0 (default)
  --fault JSON           a fault rule; can be given several times
  --denied ACTION        an IAM action the account may not do, such as s3:DeleteObject; can be given several times
  --allowed ACTION       with it, only the actions given this way are allowed; can be given several times
  --help                 this text

A fault rule is an object:
  fault       'error' with code (InternalError, SlowDown, ServiceUnavailable, RequestTimeout, ExpiredToken,
              RequestTimeTooSkewed, NoSuchBucket; for conditional writes PreconditionFailed,
              ConditionalRequestConflict) and retryAfter (seconds), 'reset-before', 'reset-after' (the body was read),
              'lost-response' (everything was done), 'stall' with ms (for ever without) and bytes (of the body that
              come before it), 'slow' with bytesPerSecond, 'truncate' with bytes, 'corrupt' with offset
  operation   an operation of S3, or an array of them; any by default
  key         a pattern of the key, in which * stands for any text
  skip        so many matching requests are let through first
  next        the next so many meet the fault; or
  every       every so-manieth meets it; every single one by default
such as {"fault":"error","code":"SlowDown","operation":"UploadPart","every":3}.

An action can be followed by a blank and a pattern of the keys, or of the prefixes listed, that it is about, such as
's3:PutObject host/*'.

The control endpoint, for other processes here, wants 'authorization: Bearer SECRET' with AWS_SECRET_ACCESS_KEY:
  /-/control/faults       GET lists {rule, matched, fired}, PUT replaces the rules by an array of them, DELETE clears
  /-/control/permissions  GET, PUT {"denied":[...],"allowed":[...]}, DELETE allows everything
  /-/control/requests     GET lists {method, operation, bucket, key, status, bytesReceived}, DELETE forgets them
`;

function parseJson(text: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: `not JSON: ${explain(error)}` });
    return z.NEVER;
  }
}

const optionsSchema = z.object({
  directory: z.string().min(1),
  port: z.coerce.number().int().min(0).max(65535).default(0),
  region: z.string().min(1).default('us-east-1'),
  bucket: z.array(z.string()).default([]),
  provider: z.enum(providerNames as readonly [ProviderName, ...ProviderName[]]).optional(),
  'list-page-size': z.coerce.number().int().min(1).max(1000).default(1000),
  'thaw-delay-ms': z.coerce.number().int().min(0).default(0),
  fault: z.array(z.string().transform(parseJson)).default([]),
  denied: z.array(z.string()).optional(),
  allowed: z.array(z.string()).optional(),
});

const accountSchema = z.object({
  AWS_ACCESS_KEY_ID: z.string().min(1),
  AWS_SECRET_ACCESS_KEY: z.string().min(1),
});

/**
 * The options of a server, from its arguments and environment; undefined where help is wanted.
 * @throws ZodError, or an error of parseArgs, for what is wrong or missing
 */
export function readCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): S3ServerOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      directory: { type: 'string' },
      port: { type: 'string' },
      region: { type: 'string' },
      bucket: { type: 'string', multiple: true },
      provider: { type: 'string' },
      'list-page-size': { type: 'string' },
      'thaw-delay-ms': { type: 'string' },
      fault: { type: 'string', multiple: true },
      denied: { type: 'string', multiple: true },
      allowed: { type: 'string', multiple: true },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const options = optionsSchema.parse(values);
  const account = accountSchema.parse(environment);
  return {
    directory: options.directory,
    port: options.port,
    region: options.region,
    buckets: options.bucket,
    provider: options.provider,
    listPageSize: options['list-page-size'],
    thawDelayMs: options['thaw-delay-ms'],
    faults: readFaultRules(options.fault),
    denied: options.denied,
    allowed: options.allowed,
    accessKeyId: account.AWS_ACCESS_KEY_ID,
    secretAccessKey: account.AWS_SECRET_ACCESS_KEY,
  };
}

/** An error of the command line in one line. */
export function explain(error: unknown): string {
  if (error instanceof z.ZodError) {
    return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}
