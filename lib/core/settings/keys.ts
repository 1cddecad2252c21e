/**
 * Every setting: its key, its rule, its default as it would stand in the file, and what it means. The documents and
 * `--help` are made from this table, so it is the one place to change.
 */
import { z } from 'zod';
import { thawTiers } from '../archive-classes.ts';
import { S3_LIMITS } from '../part-sizes.ts';
import { MOST_THAW_DAYS } from '../thaw-plan.ts';
import { absolutePath, duration, flag, oneOf, size, subvolumes, wholeNumber } from './rules.ts';

/** What people read about a key. */
export interface SettingNotes {
  readonly section: string;
  readonly about: string;
  /** What stands in an example file where there is no default. */
  readonly example?: string;
  /**
   * True for keys that name work still to come: any value but the default is an error, because going on without it would
   * not be what was asked for.
   */
  readonly notYet?: true;
}

/** Storage classes of S3 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html). */
const storageClasses = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'REDUCED_REDUNDANCY',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
] as const;

const manifestStorageClasses = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
] as const;

const what = 'What to back up';
const where = 'Where to';
const how = 'How the stream is cut and stored';
const keep = 'How often, and what is kept';
const back = 'Restore';
const run = 'Running and reporting';

/** Keys without a default give undefined when they are not set; those that a command needs are checked there. */
export const settingKeys = {
  SUBVOLUMES: [
    subvolumes().optional(),
    {
      section: what,
      about:
        'comma-separated paths of Btrfs subvolumes, or name=/path; the name (default: the last part of the path) is the folder in the bucket. name=snapshots:/glob takes existing read-only snapshots, such as name=snapshots:/home/.snapshots/*/snapshot, and makes none',
      example: '/data,home=/srv/home',
    },
  ],
  SNAPSHOT_DIR: [
    absolutePath().optional(),
    {
      section: what,
      about:
        'directory for the read-only snapshots, on the same Btrfs filesystem as every subvolume; not needed where SUBVOLUMES has only snapshots: of others',
      example: '/data/.snapshots',
    },
  ],
  S3_BUCKET: [
    z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9.\-_]{1,253}[A-Za-z0-9]$/, 'is not a bucket name')
      .optional(),
    { section: where, about: 'the bucket', example: 'my-backups' },
  ],
  S3_PREFIX: [
    z
      .string()
      .min(1, 'must not be empty; leave the line out for the host name')
      .max(512, 'is longer than 512 characters')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
      .regex(/^[^\u0000-\u001f\u007f]*$/, 'contains a control character')
      .refine((text) => !text.startsWith('/') && !text.endsWith('/'), 'must not begin or end with "/"')
      .refine(
        (text) => !text.split('/').some((word) => word === '' || word === '.' || word === '..'),
        'must not have an empty, "." or ".." part',
      )
      .optional(),
    { section: where, about: 'what every key begins with; default: the host name', example: 'home-server' },
  ],
  AWS_REGION: [
    z.string().min(1, 'must not be empty').optional(),
    {
      section: where,
      about: 'region of the bucket; may come from the environment or an AWS profile instead',
      example: 'eu-central-1',
    },
  ],
  AWS_ENDPOINT_URL_S3: [
    z.url({ protocol: /^https?$/, error: 'is not an http:// or https:// address' }).optional(),
    {
      section: where,
      about: 'address of an S3-compatible server; default: AWS. Path-style addressing is used when it is set',
      example: 'https://s3.example.net',
    },
  ],
  S3_ALLOW_HTTP: [
    flag().prefault('false'),
    { section: where, about: 'true allows an http: endpoint that is not on this machine' },
  ],
  CHUNK_SIZE: [
    size(S3_LIMITS.minPartBytes, S3_LIMITS.maxObjectBytes).prefault('200GiB'),
    {
      section: how,
      about: 'largest object, 5 MiB … 5 TiB; a chunk is what can be verified and recovered alone',
    },
  ],
  PART_SIZE: [
    z.union([z.literal('auto'), size(S3_LIMITS.minPartBytes, S3_LIMITS.maxPartBytes)]).prefault('auto'),
    {
      section: how,
      about:
        'bytes a request, 5 MiB … 5 GiB; auto: 64 MiB, or what keeps a chunk within 10,000 parts. Memory is (CONCURRENCY + 1) parts plus 120 MiB',
    },
  ],
  CONCURRENCY: [wholeNumber(1, 64).prefault('4'), { section: how, about: 'parts in flight, 1 … 64' }],
  RETRY_FOR: [
    duration().prefault('30m'),
    {
      section: how,
      about:
        'how long a failing request is repeated before the run gives up; what is uploaded is kept, and the next run goes on',
    },
  ],
  STORAGE_CLASS_CHUNKS: [
    oneOf(storageClasses).prefault('DEEP_ARCHIVE'),
    { section: how, about: `storage class of chunks: ${storageClasses.join(', ')}` },
  ],
  STORAGE_CLASS_MANIFEST: [
    oneOf(manifestStorageClasses).prefault('STANDARD'),
    {
      section: how,
      about: 'storage class of manifests and pointers; archive classes are refused, they must stay readable',
    },
  ],
  SSE: [
    oneOf(['AES256', 'aws:kms', 'none']).prefault('AES256'),
    { section: how, about: 'server-side encryption: AES256, aws:kms, none' },
  ],
  SSE_KMS_KEY_ID: [
    z.string().min(1, 'must not be empty').optional(),
    { section: how, about: 'KMS key for SSE=aws:kms', example: 'alias/backup' },
  ],
  COMPRESSED_SEND: [
    oneOf(['auto', 'true', 'false']).prefault('auto'),
    {
      section: how,
      about:
        'send compressed extents as they are on disk (btrfs send --proto 2 --compressed-data); auto: where kernel and btrfs-progs can',
    },
  ],
  COMPRESS: [
    oneOf(['none', 'zstd', ...zstdLevels()]).prefault('none'),
    { section: how, about: 'compress each chunk: none, zstd, zstd:1 … zstd:19', notYet: true },
  ],
  ENCRYPT_TO: [
    z.string().prefault(''),
    { section: how, about: 'age recipients, or a recipients file; encrypts each chunk', notYet: true },
  ],
  FULL_EVERY: [
    duration().prefault('180d'),
    { section: keep, about: 'with IF_DUE=1: age of the last full backup at which the next is due' },
  ],
  INCREMENTAL_EVERY: [
    duration().prefault('7d'),
    {
      section: keep,
      about: 'with IF_DUE=1: age of the last backup, of either kind, at which an incremental one is due',
    },
  ],
  KEEP_SNAPSHOTS: [
    wholeNumber(1, 10_000).prefault('2'),
    {
      section: keep,
      about: 'local read-only snapshots kept per subvolume, always including the next parent',
    },
  ],
  KEEP_GENERATIONS: [
    wholeNumber(1, 10_000).prefault('2'),
    { section: keep, about: 'full backups, with the chains on them, that make prune keeps per subvolume' },
  ],
  DECRYPT_WITH: [
    z.string().prefault(''),
    { section: back, about: 'age identity file, for restore alone', notYet: true },
  ],
  RESTORE_TIER: [
    oneOf(thawTiers).prefault('Standard'),
    {
      section: back,
      about:
        'how fast archived chunks are thawed, from cheap to dear: Bulk, Standard, and Expedited, which DEEP_ARCHIVE does not have',
    },
  ],
  RESTORE_DAYS: [
    wholeNumber(1, MOST_THAW_DAYS).prefault('7'),
    {
      section: back,
      about: 'days that thawed copies stay at least; more are asked for when the transfer needs them',
    },
  ],
  RESTORE_RATE: [
    size(1024, 2 ** 40).prefault('10MiB'),
    {
      section: back,
      about:
        'bytes a second that the line is expected to bring: how long the transfer of a chain needs its thawed copies',
    },
  ],
  RESTORE_TIMEOUT: [
    duration().prefault('72h'),
    { section: back, about: 'how long a restore waits for a thaw before it exits 5' },
  ],
  VERIFY_MODE: [
    oneOf(['full', 'sample', 'none']).prefault('full'),
    { section: back, about: 'what is compared after a restore: full (every byte), sample, none' },
  ],
  VERIFY_SAMPLE_FILES: [
    wholeNumber(1, 10_000_000).prefault('1000'),
    { section: back, about: 'files whose content VERIFY_MODE=sample reads' },
  ],
  RUN_DIR: [
    absolutePath().prefault('/var/lib/btrfs-to-s3'),
    { section: run, about: 'work in progress; when it is lost, an unfinished upload begins again' },
  ],
  LOG_FORMAT: [
    oneOf(['auto', 'pretty', 'json']).prefault('auto'),
    { section: run, about: 'auto: pretty on a terminal, JSON lines otherwise' },
  ],
  LOG_LEVEL: [
    oneOf(['error', 'warn', 'info', 'debug']).prefault('info'),
    { section: run, about: 'error, warn, info, debug' },
  ],
  METRICS_FILE: [z.string().prefault(''), { section: run, about: 'Prometheus text file', notYet: true }],
  NOTIFY_URL: [
    z.string().prefault(''),
    { section: run, about: 'address that is pinged at start, success and failure', notYet: true },
  ],
} as const satisfies Record<string, readonly [z.ZodType, SettingNotes]>;

export type SettingKey = keyof typeof settingKeys;

/**
 * Variables of the AWS SDK that may stand in the file beside our own keys
 * (https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
 */
export const awsVariables = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_EC2_METADATA_DISABLED',
  'AWS_USE_FIPS_ENDPOINT',
  'AWS_USE_DUALSTACK_ENDPOINT',
] as const;

/** Those of them that are secrets: they stand in a file that others cannot read, and nowhere that is shown. */
export const secretVariables = ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;

function zstdLevels(): string[] {
  return Array.from({ length: 19 }, (_, index) => `zstd:${index + 1}`);
}

/** The default of a key as it would stand in the file; undefined when there is none. */
export function defaultOf(key: SettingKey): string | undefined {
  const { defaultValue } = settingKeys[key][0].def as { defaultValue?: unknown };
  return typeof defaultValue === 'string' ? defaultValue : undefined;
}
