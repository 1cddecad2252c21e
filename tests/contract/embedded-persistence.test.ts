/** What the embedded server keeps on disk, and what it makes of it after every kind of end. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  type LifecycleRule,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { ACCOUNT, BUCKET as Bucket, createClient, makeScratch, withServer } from './start.ts';
import { refused } from './target.ts';

/** Runs `first` against one server and `second` against the next on the same directory. */
async function acrossRestart(
  first: (client: S3Client, directory: string) => Promise<void>,
  second: (client: S3Client, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await makeScratch();
  try {
    for (const work of [first, second]) {
      const server = await startS3Server({ directory, buckets: [Bucket], ...ACCOUNT });
      const client = createClient(server.endpoint);
      try {
        await work(client, directory);
      } finally {
        client.destroy();
        await server.stop();
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

describe('persistence of the embedded server', () => {
  test('a restarted server serves the same objects, with all that was said of them', async () => {
    const Key = '../a key\n𝄞';
    let before: Record<string, unknown> = {};
    const describeObject = async (client: S3Client) => {
      const { $metadata, ...head } = await client.send(
        new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }),
      );
      return head;
    };
    await acrossRestart(
      async (client) => {
        await client.send(
          new PutObjectCommand({
            Bucket,
            Key,
            Body: 'kept',
            ChecksumAlgorithm: 'SHA256',
            StorageClass: 'GLACIER_IR',
            Metadata: { a: 'b' },
            ContentType: 'text/x-kept',
          }),
        );
        before = await describeObject(client);
      },
      async (client) => {
        assert.deepEqual(await describeObject(client), before);
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
        assert.equal(await Body?.transformToString(), 'kept');
        const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
        assert.deepEqual(
          Contents.map((each) => each.Key),
          [Key],
        );
      },
    );
  });

  test('a multipart upload goes on after a restart', async () => {
    const ids = { Bucket, Key: 'parts', UploadId: '' };
    await acrossRestart(
      async (client) => {
        const created = await client.send(
          new CreateMultipartUploadCommand({ Bucket, Key: ids.Key, ChecksumAlgorithm: 'SHA256' }),
        );
        ids.UploadId = created.UploadId ?? '';
        const Body = Buffer.alloc(5 * 1024 * 1024, 'a');
        await client.send(
          new UploadPartCommand({ ...ids, PartNumber: 1, Body, ChecksumAlgorithm: 'SHA256' }),
        );
      },
      async (client) => {
        await client.send(
          new UploadPartCommand({ ...ids, PartNumber: 2, Body: 'b', ChecksumAlgorithm: 'SHA256' }),
        );
        const { Parts = [] } = await client.send(new ListPartsCommand(ids));
        assert.deepEqual(
          Parts.map((part) => part.Size),
          [5 * 1024 * 1024, 1],
        );
        await client.send(new CompleteMultipartUploadCommand({ ...ids, MultipartUpload: { Parts } }));
        const { Body } = await client.send(new GetObjectCommand({ ...ids, Range: 'bytes=-2' }));
        assert.equal(await Body?.transformToString(), 'ab');
      },
    );
  });

  test('a completion is answered again after a restart; an object from before parts were kept is served', async () => {
    const Key = 'parts';
    const ids = { Bucket, Key, UploadId: '', MultipartUpload: { Parts: [] as CompletedPart[] } };
    await acrossRestart(
      async (client, directory) => {
        const created = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
        ids.UploadId = created.UploadId ?? '';
        const part = await client.send(new UploadPartCommand({ ...ids, PartNumber: 1, Body: 'x' }));
        ids.MultipartUpload.Parts.push({ PartNumber: 1, ETag: part.ETag });
        await client.send(new CompleteMultipartUploadCommand(ids));
        const objects = join(directory, 'buckets', Bucket, 'objects');
        const [name = ''] = await readdir(objects);
        const { parts, uploadId, ...record } = JSON.parse(await readFile(join(objects, name), 'utf8'));
        assert.deepEqual([parts.length, uploadId], [1, ids.UploadId]);
        const old = createHash('sha256').update('old').digest('hex');
        await writeFile(join(objects, `${old}.json`), JSON.stringify({ ...record, key: 'old' }));
      },
      async (client) => {
        assert.ok((await client.send(new CompleteMultipartUploadCommand(ids))).ETag);
        const got = await client.send(new GetObjectCommand({ Bucket, Key: 'old', PartNumber: 1 }));
        assert.deepEqual([await got.Body?.transformToString(), got.PartsCount], ['x', 1]);
      },
    );
  });

  test('versions, delete markers, retentions and lifecycle rules are as they were after a restart', async () => {
    const locked = { Bucket: 'locked', Key: 'a' };
    const mixed = { Bucket, Key: 'a' };
    const describeAll = async (client: S3Client) => {
      const found: unknown[] = [];
      for (const each of [locked, mixed]) {
        const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand(each));
        found.push(Versions, DeleteMarkers);
        for (const { VersionId } of Versions) {
          const got = await client.send(new GetObjectCommand({ ...each, VersionId }));
          found.push(await got.Body?.transformToString(), got.ObjectLockMode, got.ObjectLockRetainUntilDate);
        }
      }
      const rules = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
      const lock = await client.send(new GetObjectLockConfigurationCommand({ Bucket: locked.Bucket }));
      return [...found, rules.Rules, lock.ObjectLockConfiguration];
    };
    let before: unknown;
    await acrossRestart(
      async (client) => {
        await client.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }));
        const retention = {
          ObjectLockMode: 'GOVERNANCE',
          ObjectLockRetainUntilDate: new Date(Date.now() + 60_000),
        } as const;
        await client.send(new PutObjectCommand({ ...locked, Body: 'first', ...retention }));
        await client.send(new PutObjectCommand({ ...locked, Body: 'second' }));
        await client.send(new DeleteObjectCommand(locked));
        await client.send(new PutObjectCommand({ ...mixed, Body: 'before versioning' }));
        const VersioningConfiguration = { Status: 'Enabled' } as const;
        await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
        await client.send(new PutObjectCommand({ ...mixed, Body: 'after it' }));
        const rule: LifecycleRule = {
          ID: 'a',
          Status: 'Enabled',
          Filter: { Prefix: '' },
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
        };
        await client.send(
          new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [rule] } }),
        );
        before = await describeAll(client);
      },
      async (client, directory) => {
        assert.deepEqual(await describeAll(client), before);
        await refused(client.send(new GetObjectCommand(locked)), 'NoSuchKey', 404);
        const { Versions = [] } = await client.send(new ListObjectVersionsCommand(locked));
        const VersionId = Versions.at(-1)?.VersionId;
        await refused(client.send(new DeleteObjectCommand({ ...locked, VersionId })), 'AccessDenied', 403);
        const blobs = async () => (await readdir(join(directory, 'blobs'))).length;
        assert.equal(await blobs(), 4);
        const bypass = { BypassGovernanceRetention: true };
        await client.send(new DeleteObjectCommand({ ...locked, VersionId, ...bypass }));
        assert.equal(await blobs(), 3);
        await refused(client.send(new DeleteBucketCommand({ Bucket: 'locked' })), 'BucketNotEmpty', 409);
      },
    );
  });

  test('a start sweeps bytes that no object and no upload names', async () => {
    await acrossRestart(
      async (client, directory) => {
        await client.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'kept' }));
        await writeFile(join(directory, 'blobs', '00000000-0000-4000-8000-000000000000'), 'orphan');
        await writeFile(join(directory, 'blobs', '00000000-0000-4000-8000-000000000001.partial'), 'half');
      },
      async (client, directory) => {
        assert.equal((await readdir(join(directory, 'blobs'))).length, 1);
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'kept' }));
        assert.equal(await Body?.transformToString(), 'kept');
      },
    );
  });

  test('bytes go when their object goes, is replaced, or was refused; keys never name a file', async () => {
    await withServer({}, async (_server, { client }, directory) => {
      const blobs = async () => (await readdir(join(directory, 'blobs'))).length;
      const put = (Key: string, more: object = {}) =>
        client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...more }));
      await put('../../escape');
      await put('../../escape');
      await put('other');
      assert.equal(await blobs(), 2);
      await assert.rejects(put('other', { IfNoneMatch: '*' }));
      await assert.rejects(put('other', { ChecksumSHA256: `${'A'.repeat(43)}=` }));
      assert.equal(await blobs(), 2);
      const names = await readdir(directory, { recursive: true });
      assert.deepEqual(
        names.filter((name) => name.includes('escape')),
        [],
      );
      await client.send(new DeleteObjectCommand({ Bucket, Key: 'other' }));
      assert.equal(await blobs(), 1);
    });
  });

  test('an object that is replaced while it is read is read to its end', async () => {
    await withServer({}, async (_server, { client }, directory) => {
      // Two parts, so that the second is only opened long after the object was replaced.
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'a' }));
      const ids = { Bucket, Key: 'a', UploadId };
      const halves = [Buffer.alloc(16 * 1024 * 1024, 'old'), Buffer.alloc(16 * 1024 * 1024, 'part')];
      const Parts = [];
      for (const [index, Body] of halves.entries()) {
        const part = await client.send(new UploadPartCommand({ ...ids, PartNumber: index + 1, Body }));
        Parts.push({ PartNumber: index + 1, ETag: part.ETag });
      }
      await client.send(new CompleteMultipartUploadCommand({ ...ids, MultipartUpload: { Parts } }));
      const got = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
      await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'new' }));
      const bytes = (await got.Body?.transformToByteArray()) ?? new Uint8Array();
      assert.equal(Buffer.compare(bytes, Buffer.concat(halves)), 0);
      // The old bytes go once their reader is done, shortly after the last of them arrived here.
      for (let tries = 0; (await readdir(join(directory, 'blobs'))).length > 1; tries += 1) {
        assert.ok(tries < 100, 'the old bytes are still there');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
  });
});
