/** The contract of reading a part of an object. */
import assert from 'node:assert/strict';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { check, freshKey, refused, type Target } from './target.ts';

/** Defines the tests of ranges. */
export function rangeContract(target: Target): void {
  const { client, bucket: Bucket } = target;

  check(target, undefined, 'ranges: first byte, open end, suffix', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '0123456789' }));
    const table = [
      ['bytes=0-0', '0', 'bytes 0-0/10'],
      ['bytes=4-', '456789', 'bytes 4-9/10'],
      ['bytes=2-5', '2345', 'bytes 2-5/10'],
      ['bytes=-3', '789', 'bytes 7-9/10'],
    ] as const;
    for (const [Range, text, expected] of table) {
      const got = await client.send(new GetObjectCommand({ Bucket, Key, Range }));
      assert.equal(await got.Body?.transformToString(), text, Range);
      assert.deepEqual(
        [got.$metadata.httpStatusCode, got.ContentRange, got.ContentLength],
        [206, expected, text.length],
        Range,
      );
    }
  });

  check(target, 'long-ranges', 'a range beyond the end is cut there', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '0123456789' }));
    for (const [Range, text] of [
      ['bytes=8-100', '89'],
      ['bytes=-100', '0123456789'],
    ] as const) {
      const got = await client.send(new GetObjectCommand({ Bucket, Key, Range }));
      assert.deepEqual([got.$metadata.httpStatusCode, await got.Body?.transformToString()], [206, text]);
    }
  });

  check(target, 'malformed-ranges', 'what is no range is ignored', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '0123456789' }));
    for (const Range of ['bytes=5-2', 'chars=0-1', 'bytes=-']) {
      const got = await client.send(new GetObjectCommand({ Bucket, Key, Range }));
      assert.equal(await got.Body?.transformToString(), '0123456789', Range);
      assert.equal(got.$metadata.httpStatusCode, 200, Range);
    }
  });

  check(target, 'head-ranges', 'HEAD takes a range too', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '0123456789' }));
    const head = await client.send(new HeadObjectCommand({ Bucket, Key, Range: 'bytes=-3' }));
    assert.deepEqual([head.ContentLength, head.ContentRange], [3, 'bytes 7-9/10']);
  });

  check(target, undefined, 'a range without a byte of the object is InvalidRange', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '0123456789' }));
    for (const Range of ['bytes=10-', 'bytes=50-60']) {
      await refused(client.send(new GetObjectCommand({ Bucket, Key, Range })), 'InvalidRange', 416);
    }
  });

  check(target, 'empty-suffix', 'the last no bytes are InvalidRange', async () => {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '0123456789' }));
    const got = client.send(new GetObjectCommand({ Bucket, Key, Range: 'bytes=-0' }));
    await refused(got, 'InvalidRange', 416);
  });
}
