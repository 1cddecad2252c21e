/** The rule of every setting: which values are good, and what they become. */
import { z } from 'zod';
import { S3_LIMITS } from '../stream/part-sizes.ts';
import { thawTiers } from '../thaw/archive-classes.ts';
import { manifestStorageClasses, storageClasses } from '../thaw/storage-classes.ts';
import { MOST_THAW_DAYS } from '../thaw/thaw-plan.ts';
import type { SettingKey } from './keys.ts';
import { recipients } from './recipients.ts';
import {
  absolutePath,
  duration,
  flag,
  globs,
  oneOf,
  proxy,
  rateLimit,
  size,
  subvolumes,
  wholeNumber,
} from './rules.ts';

/** By key: sizes become bytes, durations seconds. */
export const settingRules = {
  SUBVOLUMES: subvolumes(),
  SNAPSHOT_DIR: absolutePath(),
  IGNORE_NESTED: globs(),
  S3_BUCKET: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.\-_]{1,253}[A-Za-z0-9]$/, 'is not a bucket name'),
  S3_PREFIX: z
    .string()
    .min(1, 'must not be empty; leave the line out for the host name')
    .max(512, 'is longer than 512 characters')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'contains a control character')
    .refine((text) => !text.startsWith('/') && !text.endsWith('/'), 'must not begin or end with "/"')
    .refine(
      (text) => !text.split('/').some((word) => word === '' || word === '.' || word === '..'),
      'must not have an empty, "." or ".." part',
    ),
  AWS_REGION: z
    .string()
    .min(1, 'must not be empty')
    .regex(/^[^\s/,:]+$/, 'is not the name of a region, such as eu-central-1'),
  AWS_ENDPOINT_URL_S3: z.url({ protocol: /^https?$/, error: 'is not an http:// or https:// address' }),
  S3_ALLOW_HTTP: flag(),
  S3_ADDRESSING: oneOf(['auto', 'path', 'virtual']),
  S3_CHECKSUMS: oneOf(['auto', 'sha256', 'md5']),
  HTTPS_PROXY: proxy(),
  NO_PROXY: z.string().min(1, 'must not be empty'),
  AWS_CA_BUNDLE: z.string().min(1, 'must not be empty'),
  CHUNK_SIZE: size(S3_LIMITS.minPartBytes, S3_LIMITS.maxObjectBytes),
  PART_SIZE: z.union([z.literal('auto'), size(S3_LIMITS.minPartBytes, S3_LIMITS.maxPartBytes)]),
  CONCURRENCY: wholeNumber(1, 64),
  RETRY_FOR: duration(),
  LIMIT_UPLOAD: rateLimit(),
  LIMIT_DOWNLOAD: rateLimit(),
  STORAGE_CLASS_CHUNKS: oneOf(storageClasses),
  STORAGE_CLASS_MANIFEST: oneOf(manifestStorageClasses),
  SSE: oneOf(['AES256', 'aws:kms', 'none']),
  SSE_KMS_KEY_ID: z.string().min(1, 'must not be empty'),
  COMPRESSED_SEND: oneOf(['auto', 'true', 'false']),
  COMPRESS: oneOf(['none', 'zstd', ...zstdLevels()]),
  ENCRYPT_TO: recipients(),
  SIGN_WITH: z.union([z.literal(''), absolutePath()]),
  FULL_EVERY: duration(),
  INCREMENTAL_EVERY: duration(),
  KEEP_SNAPSHOTS: wholeNumber(1, 10_000),
  DRILL: oneOf(['off', 'monthly', 'weekly']),
  KEEP_GENERATIONS: wholeNumber(1, 10_000),
  DECRYPT_WITH: z.union([z.literal(''), absolutePath()]),
  VERIFY_SIGNERS: z.union([z.literal(''), absolutePath()]),
  RESTORE_TIER: oneOf(thawTiers),
  RESTORE_DAYS: wholeNumber(1, MOST_THAW_DAYS),
  RESTORE_RATE: size(1024, 2 ** 40),
  RESTORE_TIMEOUT: duration(),
  SPOOL_DIR: z.union([z.literal('').transform(() => undefined), absolutePath()]),
  VERIFY_MODE: oneOf(['full', 'sample', 'none']),
  VERIFY_SAMPLE_FILES: wholeNumber(1, 10_000_000),
  RUN_DIR: absolutePath(),
  LOG_FORMAT: oneOf(['auto', 'pretty', 'json']),
  LOG_LEVEL: oneOf(['error', 'warn', 'info', 'debug']),
  METRICS_FILE: z.string().regex(/^$|^\/.*\.prom$/, 'must be an absolute path that ends in .prom, or empty'),
  NOTIFY_URL: z.union([
    z.literal(''),
    z.url({ protocol: /^https?$/, error: 'is not an http:// or https:// address' }),
  ]),
  NOTIFY_COMMAND: z.string(),
  PRICES: z.string(),
  VERIFY_EVERY: z.union([z.literal('never'), duration()]),
  PRUNE_EVERY: z.union([z.literal('never'), duration()]),
} as const satisfies Record<SettingKey, z.ZodType>;

function zstdLevels(): string[] {
  return Array.from({ length: 19 }, (_, index) => `zstd:${index + 1}`);
}
