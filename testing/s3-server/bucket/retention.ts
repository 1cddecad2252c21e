/** The operations of Object Lock: the configuration of a bucket, the retention of a version. */
import { z } from 'zod';
import { type Call, type S3Response, target, xmlResponse } from '../http/call.ts';
import { receiveText } from '../http/document.ts';
import { invalidArgument, S3Error } from '../http/errors.ts';
import { requireDigest } from '../http/integrity.ts';
import { buildDocument, parseDocument } from '../http/xml.ts';
import type { BucketConfiguration, Retention } from '../store/records.ts';
import { bypassesGovernance, holds, lockedError, parseRetainUntil } from './object-lock.ts';

/** S3's limit for a default retention, a hundred years, in days. */
const MAX_DEFAULT_DAYS = 36_500;

const mode = z.enum(['COMPLIANCE', 'GOVERNANCE']);
const number = z
  .string()
  .trim()
  .regex(/^-?\d+$/)
  .transform(Number);

const configurationSchema = z.object({
  ObjectLockEnabled: z.literal('Enabled'),
  Rule: z
    .array(
      z.object({
        DefaultRetention: z.object({ Mode: mode, Days: number.optional(), Years: number.optional() }),
      }),
    )
    .max(1)
    .optional(),
});

const retentionSchema = z.union([
  z.literal(''),
  z.object({ Mode: mode.optional(), RetainUntilDate: z.string().optional() }),
]);

type ObjectLock = NonNullable<BucketConfiguration['objectLock']>;

/** @throws S3Error MalformedXML, InvalidArgument */
function readObjectLock(text: string): ObjectLock {
  const parsed = configurationSchema.safeParse(parseDocument(text, 'ObjectLockConfiguration'));
  if (!parsed.success) {
    throw new S3Error('MalformedXML', { cause: parsed.error });
  }
  const rule = parsed.data.Rule?.[0]?.DefaultRetention;
  if (rule === undefined) {
    return {};
  }
  const { Mode, Days, Years } = rule;
  const count = Days ?? Years;
  if (count === undefined || (Days !== undefined && Years !== undefined)) {
    throw new S3Error('MalformedXML');
  }
  const unit = Days === undefined ? 'Years' : 'Days';
  if (count < 1) {
    throw invalidArgument(unit, String(count), 'Default retention period must be a positive integer value.');
  }
  if (count * (unit === 'Days' ? 1 : 365) > MAX_DEFAULT_DAYS) {
    throw invalidArgument(unit, String(count), 'Default retention period too large.');
  }
  return { defaultRetention: { mode: Mode, unit, count } };
}

/**
 * PutObjectLockConfiguration (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html):
 * turns Object Lock on where there is versioning, and sets or drops the default retention of new versions.
 * @throws S3Error NoSuchBucket, InvalidRequest, MalformedXML, InvalidArgument, InvalidBucketState
 */
export async function putObjectLockConfiguration(call: Call): Promise<S3Response> {
  requireDigest(call);
  const objectLock = readObjectLock(await receiveText(call));
  await call.store.configureBucket(call.request.bucket ?? '', (configuration) => {
    if (configuration.versioning === undefined) {
      throw new S3Error('InvalidBucketState', {
        message: "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
      });
    }
    return { ...configuration, objectLock };
  });
  return { status: 200 };
}

/** GetObjectLockConfiguration. @throws S3Error NoSuchBucket, ObjectLockConfigurationNotFoundError */
export async function getObjectLockConfiguration(call: Call): Promise<S3Response> {
  const { name, configuration } = call.store.bucket(call.request.bucket ?? '');
  if (configuration.objectLock === undefined) {
    throw new S3Error('ObjectLockConfigurationNotFoundError', { elements: { BucketName: name } });
  }
  const rule = configuration.objectLock.defaultRetention;
  return xmlResponse(
    buildDocument('ObjectLockConfiguration', {
      ObjectLockEnabled: 'Enabled',
      Rule:
        rule === undefined ? undefined : { DefaultRetention: { Mode: rule.mode, [rule.unit]: rule.count } },
    }),
  );
}

function requireObjectLock(call: Call): void {
  if (call.store.bucket(call.request.bucket ?? '').configuration.objectLock === undefined) {
    throw new S3Error('InvalidRequest', { message: 'Bucket is missing Object Lock Configuration' });
  }
}

/** @throws S3Error MalformedXML, InvalidArgument; undefined when the retention is to be taken away */
function readRetentionDocument(text: string): Retention | undefined {
  const parsed = retentionSchema.safeParse(parseDocument(text, 'Retention'));
  if (!parsed.success) {
    throw new S3Error('MalformedXML', { cause: parsed.error });
  }
  const { Mode, RetainUntilDate } = parsed.data === '' ? {} : parsed.data;
  if (Mode === undefined && RetainUntilDate === undefined) {
    return undefined;
  }
  if (Mode === undefined || RetainUntilDate === undefined) {
    throw new S3Error('MalformedXML');
  }
  return { mode: Mode, retainUntil: parseRetainUntil('RetainUntilDate', RetainUntilDate) };
}

/** What still holds may be made longer or firmer, and nothing else. */
function weakens(before: Retention | undefined, after: Retention | undefined): boolean {
  if (before === undefined || after === undefined) {
    return before !== after;
  }
  const softer = before.mode === 'COMPLIANCE' && after.mode === 'GOVERNANCE';
  return softer || Date.parse(after.retainUntil) < Date.parse(before.retainUntil);
}

/**
 * PutObjectRetention (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html).
 * @throws S3Error InvalidRequest, MalformedXML, InvalidArgument, AccessDenied, and as Store.object
 */
export async function putObjectRetention(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  requireObjectLock(call);
  requireDigest(call);
  const retention = readRetentionDocument(await receiveText(call));
  const bypass = bypassesGovernance(call.request);
  await call.store.updateObject(bucket, key, call.request.query.versionId, (object) => {
    if (weakens(object.retention, retention) && holds(object.retention, bypass)) {
      throw lockedError();
    }
    return { ...object, retention };
  });
  return { status: 200 };
}

/** GetObjectRetention. @throws S3Error InvalidRequest, NoSuchObjectLockConfiguration, and as Store.object */
export async function getObjectRetention(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  requireObjectLock(call);
  const { retention } = call.store.object(bucket, key, call.request.query.versionId);
  if (retention === undefined) {
    throw new S3Error('NoSuchObjectLockConfiguration', { elements: { Key: key } });
  }
  return xmlResponse(
    buildDocument('Retention', { Mode: retention.mode, RetainUntilDate: retention.retainUntil }),
  );
}
