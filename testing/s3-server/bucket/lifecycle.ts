/**
 * A bucket's lifecycle configuration: taken, put in question, kept and given back
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html). Nothing acts upon it.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Call, type S3Response, xmlResponse } from '../http/call.ts';
import { receiveText } from '../http/document.ts';
import { invalidArgument, S3Error } from '../http/errors.ts';
import { requireDigest } from '../http/integrity.ts';
import { buildDocument, parseDocument } from '../http/xml.ts';

/** S3's limits (the same page): rules of one configuration, and characters of a rule's ID. */
const MAX_RULES = 1000;
const MAX_ID_LENGTH = 255;

const number = z
  .string()
  .trim()
  .regex(/^-?\d+$/);
const storageClass = z.enum([
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'GLACIER_IR',
  'DEEP_ARCHIVE',
]);
const tag = z.object({ Key: z.string(), Value: z.string() });
const conditions = {
  Prefix: z.string().optional(),
  Tag: z.array(tag).optional(),
  ObjectSizeGreaterThan: number.optional(),
  ObjectSizeLessThan: number.optional(),
};
/** An element without content is parsed to an empty text. */
const filterSchema = z.preprocess(
  (value) => (typeof value === 'string' && value.trim() === '' ? {} : value),
  z.object({ ...conditions, And: z.object(conditions).optional() }),
);

const ruleSchema = z.object({
  ID: z.string().optional(),
  Filter: filterSchema.optional(),
  Prefix: z.string().optional(),
  Status: z.enum(['Enabled', 'Disabled']),
  Expiration: z
    .object({
      Date: z.string().optional(),
      Days: number.optional(),
      ExpiredObjectDeleteMarker: z.enum(['true', 'false']).optional(),
    })
    .optional(),
  Transition: z
    .array(z.object({ Date: z.string().optional(), Days: number.optional(), StorageClass: storageClass }))
    .optional(),
  NoncurrentVersionExpiration: z
    .object({ NoncurrentDays: number, NewerNoncurrentVersions: number.optional() })
    .optional(),
  NoncurrentVersionTransition: z
    .array(
      z.object({
        NoncurrentDays: number,
        NewerNoncurrentVersions: number.optional(),
        StorageClass: storageClass,
      }),
    )
    .optional(),
  AbortIncompleteMultipartUpload: z.object({ DaysAfterInitiation: number }).optional(),
});

const configurationSchema = z.object({ Rule: z.array(ruleSchema).max(MAX_RULES) });

type Rule = z.infer<typeof ruleSchema>;

function checkDays(days: string | undefined, element: string, action: string, least: number): void {
  if (days !== undefined && Number(days) < least) {
    const kind = least > 0 ? 'a positive' : 'a nonnegative';
    throw invalidArgument(element, days, `'${element}' for ${action} action must be ${kind} integer`);
  }
}

/** @throws S3Error MalformedXML, InvalidRequest, InvalidArgument */
function checkRule(rule: Rule): void {
  if ((rule.Filter === undefined) === (rule.Prefix === undefined)) {
    throw new S3Error('MalformedXML');
  }
  if ((rule.ID ?? '').length > MAX_ID_LENGTH) {
    const message = `ID length should not exceed allowed limit of ${MAX_ID_LENGTH}`;
    throw invalidArgument('ID', rule.ID ?? '', message);
  }
  const { Expiration, Transition, NoncurrentVersionExpiration, NoncurrentVersionTransition } = rule;
  const abort = rule.AbortIncompleteMultipartUpload;
  const actions = [Expiration, Transition, NoncurrentVersionExpiration, NoncurrentVersionTransition, abort];
  if (actions.every((action) => action === undefined)) {
    throw new S3Error('InvalidRequest', { message: 'At least one action needs to be specified in a rule' });
  }
  if (abort !== undefined && (rule.Filter?.Tag ?? rule.Filter?.And?.Tag) !== undefined) {
    throw new S3Error('InvalidRequest', {
      message: 'AbortIncompleteMultipartUpload cannot be specified with Tags',
    });
  }
  checkDays(Expiration?.Days, 'Days', 'Expiration', 1);
  for (const { Days } of Transition ?? []) {
    checkDays(Days, 'Days', 'Transition', 0);
  }
  checkDays(NoncurrentVersionExpiration?.NoncurrentDays, 'NoncurrentDays', 'NoncurrentVersionExpiration', 1);
  checkDays(abort?.DaysAfterInitiation, 'DaysAfterInitiation', 'AbortIncompleteMultipartUpload', 1);
}

/** @throws S3Error MalformedXML, InvalidRequest, InvalidArgument */
function readRules(text: string): Rule[] {
  const parsed = configurationSchema.safeParse(parseDocument(text, 'LifecycleConfiguration'));
  if (!parsed.success) {
    throw new S3Error('MalformedXML', { cause: parsed.error });
  }
  const seen = new Set<string>();
  return parsed.data.Rule.map((rule) => {
    checkRule(rule);
    // A rule without an ID is given one.
    const ID = rule.ID === undefined || rule.ID === '' ? randomUUID() : rule.ID;
    if (seen.has(ID)) {
      const message = `RuleId must be unique. Found same ID for more than one rule: ${ID}`;
      throw invalidArgument('ID', ID, message);
    }
    seen.add(ID);
    return { ...rule, ID };
  });
}

/** PutBucketLifecycleConfiguration. @throws S3Error NoSuchBucket, InvalidRequest, MalformedXML, InvalidArgument */
export async function putBucketLifecycle(call: Call): Promise<S3Response> {
  const bucket = call.request.bucket ?? '';
  requireDigest(call);
  const rules = readRules(await receiveText(call));
  const document = buildDocument('LifecycleConfiguration', { Rule: rules });
  await call.store.configureBucket(bucket, (configuration) => ({ ...configuration, lifecycle: document }));
  return { status: 200 };
}

/** GetBucketLifecycleConfiguration. @throws S3Error NoSuchBucket, NoSuchLifecycleConfiguration */
export async function getBucketLifecycle(call: Call): Promise<S3Response> {
  const { name, configuration } = call.store.bucket(call.request.bucket ?? '');
  if (configuration.lifecycle === undefined) {
    throw new S3Error('NoSuchLifecycleConfiguration', { elements: { BucketName: name } });
  }
  return xmlResponse(configuration.lifecycle);
}

/** DeleteBucketLifecycle: 204 whether or not there was one. @throws S3Error NoSuchBucket */
export async function deleteBucketLifecycle(call: Call): Promise<S3Response> {
  await call.store.configureBucket(call.request.bucket ?? '', ({ lifecycle: _, ...others }) => others);
  return { status: 204 };
}
