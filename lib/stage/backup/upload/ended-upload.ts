/**
 * Lifecycle rules that give uploads less time than a chunk takes: the server ends the upload with all its parts, and the next one as well,
 * without end. Which rule it is, is said where the bucket's rules can be read.
 */
import { ToolError } from '../../../core/errors.ts';
import { type ExpectedUpload, secondsBeyondRule } from '../../../core/plan/upload-rate.ts';
import { formatCount, formatDuration, formatSize } from '../../../core/units.ts';
import { readLifecycle } from '../../../edge/s3/bucket/bucket-properties.ts';
import type { Bucket } from '../../../edge/s3/s3-client.ts';
import type { UploadEnded } from '../../../transfer/out/chunk-object.ts';
import type { StageContext } from '../../context.ts';

/** Long enough for a chunk of 200 GiB at 3 Mbit a second. */
const ADVISED_DAYS = 7;

/** A lifecycle rule that ends uploads. */
interface UploadRule {
  readonly id: string;
  readonly days: number;
}

/** Those that end the uploads of all keys that begin with a text, the quickest first. */
async function readUploadRules(
  bucket: Bucket,
  keyPrefix: string,
): Promise<readonly UploadRule[] | 'unknown'> {
  const rules = await readLifecycle(bucket);
  if (rules === 'unknown') return 'unknown';
  return rules
    .flatMap(({ id, prefix, endsUploadsAfterDays: days }) =>
      days !== undefined && keyPrefix.startsWith(prefix) ? { id, days } : [],
    )
    .sort((a, b) => a.days - b.days);
}

/** The error for an upload that was ended while its parts were sent. */
export async function endedUpload(context: StageContext, error: UploadEnded): Promise<ToolError> {
  const rules = await readUploadRules(context.bucket, error.key);
  return new ToolError(`${error.message}: ${whoEndedIt(context, rules)}`, {
    hint: cureFor(context, rules),
    cause: error.cause,
  });
}

/** Warns of an upload of an earlier run that was ended since: its parts are sent again. */
export async function warnOfEndedUpload(
  context: StageContext,
  subvolume: string,
  key: string,
): Promise<void> {
  const rules = await readUploadRules(context.bucket, key);
  context.log.warn(
    `${subvolume}: the server no longer knows the upload of ${key}, and its parts are sent again: ${whoEndedIt(context, rules)}; ${cureFor(context, rules)}`,
  );
}

/** Warns where a rule will end the upload of a chunk before it is complete, at the rate of the last backup. */
export async function warnOfShortRule(
  context: StageContext,
  subvolume: string,
  keyPrefix: string,
  expected: ExpectedUpload,
): Promise<void> {
  // No rule has less than a day, so for most uploads there is nothing to ask.
  if (secondsBeyondRule(expected, 1) === undefined) return;
  const rules = await readUploadRules(context.bucket, keyPrefix);
  const [quickest] = rules === 'unknown' ? [] : rules;
  const seconds = quickest && secondsBeyondRule(expected, quickest.days);
  if (!quickest || seconds === undefined) return;
  const rate = `${formatSize(Math.round(expected.rate))}/s`;
  context.log.warn(
    `${subvolume}: ${nameOf(context, quickest)}, and at the ${rate} of the last backup a chunk takes about ${formatDuration(seconds)}: ${cureFor(context, rules)}`,
  );
}

function whoEndedIt(context: StageContext, rules: readonly UploadRule[] | 'unknown'): string {
  const { name, isAws } = context.bucket;
  if (rules === 'unknown')
    return `most likely by a lifecycle rule of bucket ${name} (AbortIncompleteMultipartUpload), but its rules cannot be read`;
  const [quickest] = rules;
  return quickest
    ? nameOf(context, quickest)
    : `no lifecycle rule of bucket ${name} does that, so ${isAws ? 'something else' : 'the server by itself, or something else,'} aborted it`;
}

function nameOf({ bucket }: StageContext, { id, days }: UploadRule): string {
  return `the lifecycle rule ${id} of bucket ${bucket.name} ends uploads ${formatCount(days, 'day')} after they began`;
}

function cureFor({ settings, bucket }: StageContext, rules: readonly UploadRule[] | 'unknown'): string {
  const goesOn = 'make backup then sends no completed chunk again';
  // MinIO has a setting of its own instead of rules (https://github.com/minio/minio/issues/15681).
  const minio = bucket.isAws ? '' : '; MinIO does it after a day: raise its setting stale_uploads_expiry';
  if (rules !== 'unknown' && rules.length === 0)
    return `find what aborts uploads below ${bucket.prefix}${minio}; ${goesOn}`;
  const size = formatSize(settings.CHUNK_SIZE);
  return `let the rule wait ${ADVISED_DAYS} days or more (${goesOn}), or lower CHUNK_SIZE (${size}), with which the upload begins again${rules === 'unknown' ? minio : ''}`;
}
