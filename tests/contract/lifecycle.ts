/** The contract of lifecycle configurations: what is put is what is got. That a server acts upon it takes days to see. */
import assert from 'node:assert/strict';
import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import { withBucket } from './scratch-bucket.ts';
import { assertRefusal, check, digest, raw, refused, refusedWith, type Target } from './target.ts';

const ABORT: LifecycleRule = {
  ID: 'drop unfinished uploads',
  Status: 'Enabled',
  Filter: { Prefix: 'host/' },
  AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
};

const EXPIRE: LifecycleRule = {
  ID: 'forget old & small things',
  Status: 'Disabled',
  Filter: { Prefix: 'host/tmp/' },
  Expiration: { Days: 30 },
  Transitions: [{ Days: 1, StorageClass: 'GLACIER_IR' }],
  NoncurrentVersionExpiration: { NoncurrentDays: 3 },
};

/** Defines the tests of lifecycle configurations. */
export function lifecycleContract(target: Target): void {
  const { client } = target;
  const put = (Bucket: string, ...Rules: LifecycleRule[]) =>
    client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }));
  const get = (Bucket: string) => client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));

  check(target, 'lifecycle', 'rules are kept, replaced as a whole, and removed', async () => {
    await withBucket(target, {}, async (Bucket) => {
      await refused(get(Bucket), 'NoSuchLifecycleConfiguration', 404);
      await put(Bucket, EXPIRE, ABORT);
      const byId = [...((await get(Bucket)).Rules ?? [])].sort((left, right) =>
        (left.ID ?? '') < (right.ID ?? '') ? -1 : 1,
      );
      assert.deepEqual(byId, [ABORT, EXPIRE]);
      await put(Bucket, ABORT);
      assert.deepEqual((await get(Bucket)).Rules, [ABORT]);
      await client.send(new DeleteBucketLifecycleCommand({ Bucket }));
      await client.send(new DeleteBucketLifecycleCommand({ Bucket }));
      await refused(get(Bucket), 'NoSuchLifecycleConfiguration', 404);
    });
  });

  check(target, 'lifecycle', 'a rule for every object, and one without a name, are taken', async () => {
    await withBucket(target, {}, async (Bucket) => {
      const { ID, ...unnamed } = ABORT;
      await put(Bucket, { ...unnamed, Filter: { Prefix: '' } });
      const [rule] = (await get(Bucket)).Rules ?? [];
      assert.deepEqual(rule?.AbortIncompleteMultipartUpload, ABORT.AbortIncompleteMultipartUpload);
      assert.ok(rule?.ID);
    });
  });

  check(target, 'lifecycle-sizes', 'a rule for objects of some size is kept as that', async () => {
    await withBucket(target, {}, async (Bucket) => {
      const small = { ...EXPIRE, Filter: { And: { Prefix: 'host/tmp/', ObjectSizeLessThan: 1000 } } };
      await put(Bucket, small);
      assert.deepEqual((await get(Bucket)).Rules, [small]);
    });
  });

  check(target, 'idle-lifecycle-rules', 'a rule that does nothing is InvalidRequest', async () => {
    await withBucket(target, {}, async (Bucket) => {
      const { AbortIncompleteMultipartUpload, ...idle } = ABORT;
      await refused(put(Bucket, idle), 'InvalidRequest', 400);
    });
  });

  check(
    target,
    'lifecycle-validation',
    'rules that make no sense are refused, and the old ones stay',
    async () => {
      await withBucket(target, {}, async (Bucket) => {
        await put(Bucket, ABORT);
        const { AbortIncompleteMultipartUpload, ...idle } = ABORT;
        await refusedWith(put(Bucket, idle), 400);
        await refused(put(Bucket, ABORT, ABORT), 'InvalidArgument', 400);
        await refused(put(Bucket, { ...idle, Expiration: { Days: 0 } }), 'InvalidArgument', 400);
        await refused(put(Bucket, { ...ABORT, ID: 'x'.repeat(256) }), 'InvalidArgument', 400);
        const tagged = { ...ABORT, Filter: { Tag: { Key: 'a', Value: 'b' } } };
        await refused(put(Bucket, tagged), 'InvalidRequest', 400);
        const { Filter, ...aimless } = ABORT;
        await refused(put(Bucket, aimless), 'MalformedXML', 400);
        await refused(put(Bucket, { ...ABORT, Status: 'On' as 'Enabled' }), 'MalformedXML', 400);
        const many = Array.from({ length: 1001 }, (_, index) => ({ ...ABORT, ID: `rule ${index}` }));
        await refused(put(Bucket, ...many), 'MalformedXML', 400);
        await refused(put(Bucket), 'MalformedXML', 400);
        assert.deepEqual((await get(Bucket)).Rules, [ABORT]);
      });
    },
  );

  const DOCUMENT =
    '<LifecycleConfiguration>\n<Rule>\n<ID>a</ID><Filter/><Status>Enabled</Status>\n' +
    '<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>';
  const putDocument = (bucket: string, headers: Record<string, string>) =>
    raw({ ...target, bucket }, { method: 'PUT', query: { lifecycle: '' }, body: DOCUMENT, headers });

  check(target, 'lifecycle', 'a document may have white space and an empty filter', async () => {
    await withBucket(target, {}, async (bucket) => {
      assert.equal((await putDocument(bucket, { 'content-md5': digest('md5', DOCUMENT) })).status, 200);
      assert.equal((await get(bucket)).Rules?.[0]?.Expiration?.Days, 1);
    });
  });

  check(target, 'vouched-lifecycle', 'the document has to be vouched for', async () => {
    await withBucket(target, {}, async (bucket) => {
      assertRefusal(await putDocument(bucket, {}), 'InvalidRequest', 400);
    });
  });

  check(target, 'lifecycle', 'a bucket that is not there has no rules', async () => {
    await refused(get('contract-not-there'), 'NoSuchBucket', 404);
  });
}
