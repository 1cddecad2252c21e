/** The contract of buckets. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { check, refused, type Target } from './target.ts';

/** Defines the tests of buckets. */
export function bucketContract(target: Target): void {
  const { client } = target;

  check(target, 'buckets', 'a bucket is made, found, listed and removed', async () => {
    const Bucket = `contract-${randomUUID()}`;
    await refused(client.send(new HeadBucketCommand({ Bucket })), 'NotFound', 404);
    await client.send(new CreateBucketCommand({ Bucket }));
    await client.send(new HeadBucketCommand({ Bucket }));
    const { Buckets = [] } = await client.send(new ListBucketsCommand());
    assert.ok(Buckets.some((each) => each.Name === Bucket && each.CreationDate instanceof Date));
    await client.send(new DeleteBucketCommand({ Bucket }));
    await refused(client.send(new HeadBucketCommand({ Bucket })), 'NotFound', 404);
    await refused(client.send(new DeleteBucketCommand({ Bucket })), 'NoSuchBucket', 404);
  });

  check(target, 'bucket-location', 'a bucket reports its region', async () => {
    const { bucket: Bucket } = target;
    const { LocationConstraint } = await client.send(new GetBucketLocationCommand({ Bucket }));
    assert.equal(LocationConstraint || 'us-east-1', target.region);
  });

  check(target, 'buckets', 'a bucket that holds an object is not removed', async () => {
    const Bucket = `contract-${randomUUID()}`;
    await client.send(new CreateBucketCommand({ Bucket }));
    await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'a' }));
    await refused(client.send(new DeleteBucketCommand({ Bucket })), 'BucketNotEmpty', 409);
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
    await client.send(new DeleteBucketCommand({ Bucket }));
  });

  check(target, undefined, 'every operation in a bucket that is not there is NoSuchBucket', async () => {
    const Bucket = `contract-${randomUUID()}`;
    await refused(client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'a' })), 'NoSuchBucket', 404);
    await refused(client.send(new GetObjectCommand({ Bucket, Key: 'a' })), 'NoSuchBucket', 404);
    await refused(client.send(new DeleteObjectCommand({ Bucket, Key: 'a' })), 'NoSuchBucket', 404);
    await refused(client.send(new ListObjectsV2Command({ Bucket })), 'NoSuchBucket', 404);
  });

  check(target, 'bucket-names', 'a bucket name against the rules is refused', async () => {
    await refused(client.send(new CreateBucketCommand({ Bucket: 'Not_A_Bucket' })), 'InvalidBucketName', 400);
  });
}
