/** The contract of archive classes, on a server whose thaws take no time. */
import assert from 'node:assert/strict';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  RestoreObjectCommand,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { assertRefusal, check, freshKey, raw, refused, type Target } from './target.ts';

/** Defines the tests of archive classes. */
export function archiveContract(target: Target): void {
  const { client, bucket: Bucket } = target;

  async function store(storageClass: StorageClass): Promise<string> {
    const Key = freshKey(target);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'frozen', StorageClass: storageClass }));
    return Key;
  }

  async function restore(
    Key: string,
    Days = 1,
    Tier: 'Standard' | 'Bulk' | 'Expedited' = 'Bulk',
  ): Promise<number> {
    const RestoreRequest = { Days, GlacierJobParameters: { Tier } };
    const { $metadata } = await client.send(new RestoreObjectCommand({ Bucket, Key, RestoreRequest }));
    return $metadata.httpStatusCode ?? 0;
  }

  for (const storageClass of ['GLACIER', 'DEEP_ARCHIVE'] as const) {
    check(target, 'archive', `an object in ${storageClass} is read only after a restore`, async () => {
      const Key = await store(storageClass);
      await refused(client.send(new GetObjectCommand({ Bucket, Key })), 'InvalidObjectState', 403);
      const frozen = await client.send(new HeadObjectCommand({ Bucket, Key }));
      assert.deepEqual(
        [frozen.StorageClass, frozen.Restore, frozen.ContentLength],
        [storageClass, undefined, 6],
      );

      assert.equal(await restore(Key, 2), 202);
      const got = await client.send(new GetObjectCommand({ Bucket, Key }));
      assert.equal(await got.Body?.transformToString(), 'frozen');
      const thawed = await client.send(new HeadObjectCommand({ Bucket, Key }));
      const expiry = /^ongoing-request="false", expiry-date="(.+)"$/.exec(thawed.Restore ?? '')?.[1] ?? '';
      const days = (Date.parse(expiry) - Date.now()) / 86_400_000;
      assert.ok(days >= 2 && days <= 3, `expires in ${days} days`);
      assert.equal(thawed.StorageClass, storageClass);
      assert.equal(await restore(Key, 5), 200);
    });
  }

  check(target, 'archive-listing', 'a listing shows who is thawed when it is asked to', async () => {
    const Key = await store('DEEP_ARCHIVE');
    await restore(Key);
    const list = async (asked: boolean) => {
      const page = await client.send(
        new ListObjectsV2Command({
          Bucket,
          Prefix: Key,
          ...(asked ? { OptionalObjectAttributes: ['RestoreStatus'] } : {}),
        }),
      );
      return page.Contents?.[0]?.RestoreStatus;
    };
    assert.equal(await list(false), undefined);
    const status = await list(true);
    assert.equal(status?.IsRestoreInProgress, false);
    assert.ok((status?.RestoreExpiryDate?.getTime() ?? 0) > Date.now());
  });

  check(target, 'glacier-ir', 'GLACIER_IR is read at once, and has nothing to restore', async () => {
    const Key = await store('GLACIER_IR');
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await Body?.transformToString(), 'frozen');
    await refused(restore(Key), 'InvalidObjectState', 403);
  });

  check(
    target,
    'archive',
    'a restore of nothing, for no days, or in a tier that is not there is refused',
    async () => {
      await refused(restore(freshKey(target)), 'NoSuchKey', 404);
      const Key = await store('DEEP_ARCHIVE');
      await refused(restore(Key, 0), 'InvalidArgument', 400);
      await refused(restore(Key, 1, 'Expedited'), 'InvalidArgument', 400);
      const glacier = await store('GLACIER');
      assert.equal(await restore(glacier, 1, 'Expedited'), 202);
      for (const body of ['<RestoreRequest></RestoreRequest>', '<RestoreRequest><Days>1</RestoreRequest>']) {
        const response = await raw(target, { method: 'POST', key: Key, query: { restore: '' }, body });
        assertRefusal(response, 'MalformedXML', 400);
      }
      await refused(client.send(new GetObjectCommand({ Bucket, Key })), 'InvalidObjectState', 403);
    },
  );
}
