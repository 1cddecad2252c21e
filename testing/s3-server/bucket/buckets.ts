/** The operations on buckets, and the owner that every listing names. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Call, type S3Response, xmlResponse } from '../http/call.ts';
import { receiveText } from '../http/document.ts';
import { S3Error } from '../http/errors.ts';
import { buildDocument, parseDocument } from '../http/xml.ts';

/** The one account's canonical user id, in S3's form of 64 hexadecimal digits. */
export const OWNER = { ID: createHash('sha256').update('s3-server').digest('hex') };

const createSchema = z.union([z.literal(''), z.object({ LocationConstraint: z.string().optional() })]);

/** Whether a name is one S3 allows (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html). */
export function isBucketName(name: string): boolean {
  return (
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes('..') && !/^\d+(\.\d+){3}$/.test(name)
  );
}

function checkLocation(text: string, region: string): void {
  if (text === '') {
    return;
  }
  const parsed = createSchema.safeParse(parseDocument(text, 'CreateBucketConfiguration'));
  if (!parsed.success) {
    throw new S3Error('MalformedXML');
  }
  const constraint = parsed.data === '' ? undefined : parsed.data.LocationConstraint;
  if (constraint === undefined) {
    return;
  }
  // us-east-1 is the one region whose name is not a location constraint.
  if (constraint === 'us-east-1') {
    throw new S3Error('InvalidLocationConstraint', { elements: { LocationConstraint: constraint } });
  }
  if (constraint !== region) {
    throw new S3Error('IllegalLocationConstraintException', {
      message: `The ${constraint} location constraint is incompatible for the region specific endpoint this request was sent to.`,
    });
  }
}

/** CreateBucket. Making one's own bucket again is 200 in us-east-1 and 409 elsewhere, as S3 has it. */
export async function createBucket(call: Call): Promise<S3Response> {
  const name = call.request.bucket ?? '';
  if (!isBucketName(name)) {
    throw new S3Error('InvalidBucketName', { elements: { BucketName: name } });
  }
  const empty = (call.request.headers['content-length'] ?? '0') === '0';
  checkLocation(empty ? '' : await receiveText(call), call.settings.region);
  if (call.store.hasBucket(name) && call.settings.region !== 'us-east-1') {
    throw new S3Error('BucketAlreadyOwnedByYou', { elements: { BucketName: name } });
  }
  const locked = call.request.headers['x-amz-bucket-object-lock-enabled']?.toLowerCase() === 'true';
  // Object Lock needs versions to keep, so it brings versioning with it.
  await call.store.createBucket(name, locked ? { versioning: 'Enabled', objectLock: {} } : {});
  return { status: 200, headers: { location: `/${name}` } };
}

/** HeadBucket: whether it is there, and in which region. */
export async function headBucket(call: Call): Promise<S3Response> {
  call.store.bucket(call.request.bucket ?? '');
  return { status: 200, headers: { 'x-amz-bucket-region': call.settings.region } };
}

/** DeleteBucket. @throws S3Error BucketNotEmpty */
export async function deleteBucket(call: Call): Promise<S3Response> {
  await call.store.deleteBucket(call.request.bucket ?? '');
  return { status: 204 };
}

/** GetBucketLocation: empty for us-east-1. */
export async function getBucketLocation(call: Call): Promise<S3Response> {
  call.store.bucket(call.request.bucket ?? '');
  const { region } = call.settings;
  return xmlResponse(buildDocument('LocationConstraint', region === 'us-east-1' ? {} : { '#text': region }));
}

/** ListBuckets, all on one page. */
export async function listBuckets(call: Call): Promise<S3Response> {
  const Bucket = call.store.buckets().map(({ name, createdAt }) => ({ Name: name, CreationDate: createdAt }));
  return xmlResponse(buildDocument('ListAllMyBucketsResult', { Owner: OWNER, Buckets: { Bucket } }));
}
