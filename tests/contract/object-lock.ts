/** The contract of Object Lock: what is retained stays, whoever asks, until its time. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  type ObjectLockRetentionMode,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { withBucket, withVersions } from './scratch-bucket.ts';
import { assertRefusal, check, digest, raw, refused, refusedWith, type Target } from './target.ts';
import { uploader } from './uploads.ts';

const DAY_MS = 86_400_000;

/** A time some milliseconds from now, in whole seconds, which is all that every server keeps. */
function fromNow(ms: number): Date {
  return new Date(Math.ceil((Date.now() + ms) / 1000) * 1000);
}

/** Defines the tests of Object Lock. */
export function objectLockContract(target: Target): void {
  const { client } = target;

  async function put(Bucket: string, more: Partial<PutObjectCommandInput> = {}): Promise<string> {
    const { VersionId = '' } = await client.send(
      new PutObjectCommand({ Bucket, Key: 'a', Body: 'a', ChecksumAlgorithm: 'SHA256', ...more }),
    );
    return VersionId;
  }

  function retain(mode: ObjectLockRetentionMode, until: Date): Partial<PutObjectCommandInput> {
    return { ObjectLockMode: mode, ObjectLockRetainUntilDate: until };
  }

  const denied = (call: Promise<unknown>) => refused(call, 'AccessDenied', 403);

  const remove = (Bucket: string, VersionId: string, bypass = false) =>
    client.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId, BypassGovernanceRetention: bypass }));

  const changeRetention = (
    Bucket: string,
    Mode: ObjectLockRetentionMode,
    RetainUntilDate: Date,
    bypass = false,
  ) =>
    client.send(
      new PutObjectRetentionCommand({
        Bucket,
        Key: 'a',
        Retention: { Mode, RetainUntilDate },
        BypassGovernanceRetention: bypass,
      }),
    );

  const retainByDefault = (Bucket: string, Days: number) =>
    client.send(
      new PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days } },
        },
      }),
    );

  check(target, 'object-lock', 'a bucket made with Object Lock keeps versions, and cannot stop', async () => {
    await withVersions(target, { lock: true }, async (Bucket) => {
      const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket }));
      assert.equal(Status, 'Enabled');
      const { ObjectLockConfiguration } = await client.send(
        new GetObjectLockConfigurationCommand({ Bucket }),
      );
      assert.deepEqual(ObjectLockConfiguration, { ObjectLockEnabled: 'Enabled' });
      const suspend = { Status: 'Suspended' } as const;
      await refused(
        client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: suspend })),
        'InvalidBucketState',
        409,
      );
    });
  });

  check(
    target,
    'object-lock',
    'in compliance mode a version stays until its time, and goes after it',
    async () => {
      await withVersions(target, { lock: true }, async (Bucket) => {
        const until = fromNow(2000);
        const VersionId = await put(Bucket, retain('COMPLIANCE', until));
        const got = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
        await got.Body?.transformToString();
        const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'a', VersionId }));
        for (const answer of [got, head]) {
          assert.deepEqual(
            [answer.ObjectLockMode, answer.ObjectLockRetainUntilDate, answer.VersionId],
            ['COMPLIANCE', until, VersionId],
          );
        }
        await denied(remove(Bucket, VersionId));
        await denied(remove(Bucket, VersionId, true));
        const { Errors, Deleted } = await client.send(
          new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'a', VersionId }] } }),
        );
        assert.deepEqual(
          [Errors?.[0]?.Code, Errors?.[0]?.VersionId, Deleted],
          ['AccessDenied', VersionId, undefined],
        );
        // A delete without a version is no danger, and neither is a put.
        const marker = await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
        assert.equal(marker.DeleteMarker, true);
        await put(Bucket);
        const kept = await client.send(new GetObjectCommand({ Bucket, Key: 'a', VersionId }));
        assert.equal(await kept.Body?.transformToString(), 'a');
        await sleep(until.getTime() - Date.now() + 100);
        await remove(Bucket, VersionId);
        await refusedWith(client.send(new GetObjectCommand({ Bucket, Key: 'a', VersionId })), 404);
      });
    },
  );

  check(target, 'object-lock', 'governance mode gives way to who says so', async () => {
    await withVersions(target, { lock: true }, async (Bucket) => {
      const VersionId = await put(Bucket, retain('GOVERNANCE', fromNow(DAY_MS)));
      await denied(remove(Bucket, VersionId));
      await remove(Bucket, VersionId, true);
      await refusedWith(client.send(new GetObjectCommand({ Bucket, Key: 'a', VersionId })), 404);
    });
  });

  check(target, 'locked-message', 'the refusal to delete what is locked says why', async () => {
    await withVersions(target, { lock: true }, async (Bucket) => {
      const error = await denied(remove(Bucket, await put(Bucket, retain('GOVERNANCE', fromNow(DAY_MS)))));
      assert.match(error.message, /object lock/i);
    });
  });

  check(
    target,
    'multipart-retention',
    'a multipart upload takes its retention from its beginning',
    async () => {
      await withVersions(target, { lock: true }, async (Bucket) => {
        const until = fromNow(DAY_MS);
        const upload = await uploader(target, Bucket)('SHA256', retain('GOVERNANCE', until), 'a');
        const { VersionId = '' } = await upload.complete([await upload.put(1, 'parts')]);
        const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
        assert.deepEqual(
          [head.ObjectLockMode, head.ObjectLockRetainUntilDate, head.VersionId],
          ['GOVERNANCE', until, VersionId],
        );
        await denied(remove(Bucket, VersionId));
      });
    },
  );

  check(target, 'object-lock', 'half a retention, or one that is over, is refused', async () => {
    await withVersions(target, { lock: true }, async (Bucket) => {
      await refused(put(Bucket, { ObjectLockMode: 'GOVERNANCE' }), 'InvalidArgument', 400);
      const past = retain('GOVERNANCE', new Date(Date.now() - 60_000));
      await refused(put(Bucket, past), 'InvalidArgument', 400);
      const unknown = retain('FOREVER' as 'GOVERNANCE', fromNow(DAY_MS));
      await refused(put(Bucket, unknown), 'InvalidArgument', 400);
      await refused(client.send(new HeadObjectCommand({ Bucket, Key: 'a' })), 'NotFound', 404);
    });
  });

  check(
    target,
    'object-lock',
    'a multipart upload is retained when that is asked for afterwards',
    async () => {
      await withVersions(target, { lock: true }, async (Bucket) => {
        const upload = await uploader(target, Bucket)('SHA256', {}, 'a');
        const { VersionId = '' } = await upload.complete([await upload.put(1, 'parts')]);
        const until = fromNow(DAY_MS);
        await changeRetention(Bucket, 'GOVERNANCE', until);
        const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
        assert.deepEqual([head.ObjectLockMode, head.ObjectLockRetainUntilDate], ['GOVERNANCE', until]);
        await denied(remove(Bucket, VersionId));
      });
    },
  );

  check(target, 'vouched-retention', 'bytes that are to be retained have to be vouched for', async () => {
    await withVersions(target, { lock: true }, async (bucket) => {
      const request = {
        method: 'PUT',
        key: 'a',
        body: 'a',
        headers: {
          'x-amz-object-lock-mode': 'GOVERNANCE',
          'x-amz-object-lock-retain-until-date': fromNow(DAY_MS).toISOString(),
        },
      };
      assertRefusal(await raw({ ...target, bucket }, request), 'InvalidRequest', 400);
      const headers = { ...request.headers, 'content-md5': digest('md5', 'a') };
      const response = await raw({ ...target, bucket }, { ...request, headers });
      assert.equal(response.status, 200, response.text);
    });
  });

  check(target, 'vouched-retention', 'so do the parts of an upload that is to be retained', async () => {
    await withVersions(target, { lock: true }, async (bucket) => {
      const retained = retain('GOVERNANCE', fromNow(DAY_MS));
      const { UploadId } = await uploader(target, bucket)(undefined, retained, 'a');
      const query = { uploadId: UploadId, partNumber: '1' };
      const part = { method: 'PUT', key: 'a', query, body: 'a' };
      assertRefusal(await raw({ ...target, bucket }, part), 'InvalidRequest', 400);
    });
  });

  check(target, 'object-lock', 'a bucket without Object Lock has none of it', async () => {
    await withBucket(target, {}, async (Bucket) => {
      const retained = retain('GOVERNANCE', fromNow(DAY_MS));
      await refused(put(Bucket, retained), 'InvalidRequest', 400);
      await put(Bucket);
      const ids = { Bucket, Key: 'a' };
      await refused(changeRetention(Bucket, 'GOVERNANCE', fromNow(DAY_MS)), 'InvalidRequest', 400);
      await refused(client.send(new GetObjectRetentionCommand(ids)), 'InvalidRequest', 400);
      await client.send(new DeleteObjectCommand(ids));
      await refused(
        client.send(new GetObjectLockConfigurationCommand({ Bucket })),
        'ObjectLockConfigurationNotFoundError',
        404,
      );
      // Without versions it cannot be turned on; a bucket that keeps them could be, and for good.
      await refused(
        client.send(
          new PutObjectLockConfigurationCommand({
            Bucket,
            ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
          }),
        ),
        'InvalidBucketState',
        409,
      );
    });
  });

  check(target, 'multipart-retention', 'a bucket without Object Lock retains no upload', async () => {
    await withBucket(target, {}, async (Bucket) => {
      const retained = retain('GOVERNANCE', fromNow(DAY_MS));
      await refused(uploader(target, Bucket)('SHA256', retained, 'a'), 'InvalidRequest', 400);
    });
  });

  check(target, 'object-lock', 'a default retention is given to what brings none', async () => {
    await withVersions(target, { lock: true }, async (Bucket) => {
      await refusedWith(retainByDefault(Bucket, 0), 400);
      await retainByDefault(Bucket, 3);
      const { ObjectLockConfiguration } = await client.send(
        new GetObjectLockConfigurationCommand({ Bucket }),
      );
      assert.deepEqual(ObjectLockConfiguration?.Rule?.DefaultRetention, { Mode: 'GOVERNANCE', Days: 3 });
      const VersionId = await put(Bucket);
      const upload = await uploader(target, Bucket)('SHA256', {}, 'parts');
      await upload.complete([await upload.put(1, 'parts')]);
      for (const Key of ['a', 'parts']) {
        const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
        const days = ((head.ObjectLockRetainUntilDate?.getTime() ?? 0) - Date.now()) / DAY_MS;
        assert.equal(head.ObjectLockMode, 'GOVERNANCE');
        assert.ok(days > 2.9 && days <= 3.01, `${Key}: ${days} days`);
      }
      await denied(remove(Bucket, VersionId));
      const until = fromNow(DAY_MS);
      await put(Bucket, { Key: 'own', ...retain('GOVERNANCE', until) });
      const own = await client.send(new HeadObjectCommand({ Bucket, Key: 'own' }));
      assert.deepEqual(own.ObjectLockRetainUntilDate, until);
    });
  });

  check(target, 'default-retention-code', 'a default retention of no days is InvalidArgument', async () => {
    await withVersions(target, { lock: true }, async (Bucket) => {
      await refused(retainByDefault(Bucket, 0), 'InvalidArgument', 400);
    });
  });

  check(target, 'no-such-retention', 'no retention is NoSuchObjectLockConfiguration', async () => {
    await withVersions(target, { lock: true }, async (Bucket) => {
      await put(Bucket);
      const get = client.send(new GetObjectRetentionCommand({ Bucket, Key: 'a' }));
      await refused(get, 'NoSuchObjectLockConfiguration', 404);
    });
  });

  check(
    target,
    'object-lock',
    'a retention can be made longer, and in governance mode shorter by who says so',
    async () => {
      await withVersions(target, { lock: true }, async (Bucket) => {
        await put(Bucket);
        const get = () => client.send(new GetObjectRetentionCommand({ Bucket, Key: 'a' }));
        await refusedWith(get(), 404);
        const [short, long] = [fromNow(DAY_MS), fromNow(2 * DAY_MS)];
        await changeRetention(Bucket, 'GOVERNANCE', short);
        await changeRetention(Bucket, 'GOVERNANCE', long);
        assert.deepEqual((await get()).Retention, { Mode: 'GOVERNANCE', RetainUntilDate: long });
        await denied(changeRetention(Bucket, 'GOVERNANCE', short));
        await changeRetention(Bucket, 'GOVERNANCE', short, true);
        await refused(
          changeRetention(Bucket, 'GOVERNANCE', new Date(Date.now() - 60_000), true),
          'InvalidArgument',
          400,
        );
        assert.deepEqual((await get()).Retention, { Mode: 'GOVERNANCE', RetainUntilDate: short });
      });
    },
  );

  check(
    target,
    'object-lock',
    'a retention is of one version, and the others go as they please',
    async () => {
      await withVersions(target, { lock: true }, async (Bucket) => {
        const [older, newer] = [await put(Bucket), await put(Bucket)];
        const Retention = { Mode: 'GOVERNANCE', RetainUntilDate: fromNow(DAY_MS) } as const;
        const ids = { Bucket, Key: 'a', VersionId: older };
        await client.send(new PutObjectRetentionCommand({ ...ids, Retention }));
        assert.deepEqual((await client.send(new GetObjectRetentionCommand(ids))).Retention, Retention);
        await refusedWith(client.send(new GetObjectRetentionCommand({ Bucket, Key: 'a' })), 404);
        await denied(remove(Bucket, older));
        await remove(Bucket, newer);
      });
    },
  );

  check(target, 'object-lock', 'a retention in compliance mode is never made shorter or softer', async () => {
    await withVersions(target, { lock: true }, async (Bucket) => {
      await put(Bucket, retain('COMPLIANCE', fromNow(3000)));
      await denied(changeRetention(Bucket, 'COMPLIANCE', fromNow(1000), true));
      await denied(changeRetention(Bucket, 'GOVERNANCE', fromNow(DAY_MS), true));
    });
  });
}
