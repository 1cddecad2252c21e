/** What is the embedded server's own: its settings, its refusals, its record of requests, its end. */
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  RestoreObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { ACCOUNT, BUCKET as Bucket, makeScratch, withServer } from './start.ts';
import { assertRefusal, beginPut, raw, refused } from './target.ts';

describe('the embedded server', () => {
  test('records every request with operation, status and bytes', async () => {
    await withServer({}, async (server, target) => {
      await target.client.send(new PutObjectCommand({ Bucket, Key: 'a/b', Body: 'hello' }));
      await refused(target.client.send(new GetObjectCommand({ Bucket, Key: 'none' })), 'NoSuchKey', 404);
      await target.client.send(new ListObjectsV2Command({ Bucket }));
      assert.deepEqual(server.requests, [
        { method: 'PUT', operation: 'PutObject', bucket: Bucket, key: 'a/b', status: 200, bytesReceived: 5 },
        { method: 'GET', operation: 'GetObject', bucket: Bucket, key: 'none', status: 404, bytesReceived: 0 },
        {
          method: 'GET',
          operation: 'ListObjectsV2',
          bucket: Bucket,
          key: undefined,
          status: 200,
          bytesReceived: 0,
        },
      ]);
    });
  });

  test('a small page size makes pages of every listing, and says what was asked for', async () => {
    await withServer({ listPageSize: 2 }, async (_server, { client }) => {
      for (const Key of ['a', 'b', 'c']) {
        await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
      }
      const page = await client.send(new ListObjectsV2Command({ Bucket }));
      assert.deepEqual([page.KeyCount, page.IsTruncated, page.MaxKeys], [2, true, 1000]);
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'm' }));
      const ids = { Bucket, Key: 'm', UploadId };
      for (const PartNumber of [1, 2, 3]) {
        await client.send(new UploadPartCommand({ ...ids, PartNumber, Body: 'x' }));
      }
      const parts = await client.send(new ListPartsCommand(ids));
      assert.deepEqual([parts.Parts?.length, parts.IsTruncated, parts.NextPartNumberMarker], [2, true, '2']);
      await client.send(new AbortMultipartUploadCommand(ids));
    });
  });

  test('a thaw takes its time, and cannot be asked for twice meanwhile', async () => {
    await withServer({ thawDelayMs: 3_600_000 }, async (server, { client }) => {
      const ids = { Bucket, Key: 'cold' };
      await client.send(new PutObjectCommand({ ...ids, Body: 'x', StorageClass: 'DEEP_ARCHIVE' }));
      const restore = () => client.send(new RestoreObjectCommand({ ...ids, RestoreRequest: { Days: 1 } }));
      assert.equal((await restore()).$metadata.httpStatusCode, 202);
      await refused(restore(), 'RestoreAlreadyInProgress', 409);
      await refused(client.send(new GetObjectCommand(ids)), 'InvalidObjectState', 403);
      assert.equal((await client.send(new HeadObjectCommand(ids))).Restore, 'ongoing-request="true"');
      const page = await client.send(
        new ListObjectsV2Command({ Bucket, OptionalObjectAttributes: ['RestoreStatus'] }),
      );
      assert.equal(page.Contents?.[0]?.RestoreStatus?.IsRestoreInProgress, true);
      await server.thaws.finish();
      const { Body } = await client.send(new GetObjectCommand(ids));
      assert.equal(await Body?.transformToString(), 'x');
    });
  });

  test('a thaw under way is asked for again in a faster tier alone, with all else as it was', async () => {
    await withServer({ thawDelayMs: 3_600_000 }, async (_server, { client }) => {
      const ids = { Bucket, Key: 'cold' };
      await client.send(new PutObjectCommand({ ...ids, Body: 'x', StorageClass: 'GLACIER' }));
      const restore = async (Tier: 'Bulk' | 'Standard' | 'Expedited', Days = 1) => {
        const RestoreRequest = { Days, GlacierJobParameters: { Tier } };
        const { $metadata } = await client.send(new RestoreObjectCommand({ ...ids, RestoreRequest }));
        return $metadata.httpStatusCode;
      };
      assert.equal(await restore('Bulk'), 202);
      await refused(restore('Bulk'), 'RestoreAlreadyInProgress', 409);
      await refused(restore('Standard', 2), 'RestoreAlreadyInProgress', 409);
      assert.equal(await restore('Standard'), 202);
      await refused(restore('Bulk'), 'RestoreAlreadyInProgress', 409);
      assert.equal(await restore('Expedited'), 202);
      await refused(restore('Expedited'), 'RestoreAlreadyInProgress', 409);
      assert.equal((await client.send(new HeadObjectCommand(ids))).Restore, 'ongoing-request="true"');
    });
  });

  test('what Intelligent-Tiering has archived is restored without days, and stays readable', async () => {
    await withServer({}, async (server, { client }) => {
      const ids = { Bucket, Key: 'tiered' };
      await client.send(new PutObjectCommand({ ...ids, Body: 'x', StorageClass: 'INTELLIGENT_TIERING' }));
      await server.archive((key) => key === 'tiered');
      await refused(client.send(new GetObjectCommand(ids)), 'InvalidObjectState', 403);
      assert.equal((await client.send(new HeadObjectCommand(ids))).ArchiveStatus, 'ARCHIVE_ACCESS');
      const restore = (Days?: number) =>
        client.send(
          new RestoreObjectCommand({
            ...ids,
            RestoreRequest: { ...(Days && { Days }), GlacierJobParameters: { Tier: 'Standard' } },
          }),
        );
      await refused(restore(1), 'InvalidArgument', 400);
      await restore();
      const { Body } = await client.send(new GetObjectCommand(ids));
      assert.equal(await Body?.transformToString(), 'x');
      const { ArchiveStatus, Restore } = await client.send(new HeadObjectCommand(ids));
      assert.deepEqual([ArchiveStatus, Restore], [undefined, undefined]);
    });
  });

  test('what it does not do it refuses with NotImplemented, and never does something else instead', async () => {
    await withServer({}, async (_server, target) => {
      const { client } = target;
      await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
      const copy = new CopyObjectCommand({ Bucket, Key: 'b', CopySource: `${Bucket}/a` });
      const calls = [
        client.send(copy),
        client.send(new GetObjectAclCommand({ Bucket, Key: 'a' })),
        client.send(new ListObjectsCommand({ Bucket })),
        client.send(new PutObjectCommand({ Bucket, Key: 'b', Body: 'x', ObjectLockLegalHoldStatus: 'ON' })),
        client.send(new PutObjectCommand({ Bucket, Key: 'b', Body: 'x', Tagging: 'a=b' })),
        client.send(new PutObjectCommand({ Bucket, Key: 'b', Body: 'x', ACL: 'public-read' })),
      ];
      await Promise.all(calls.map((call) => refused(call, 'NotImplemented', 501)));
      const contentSha256 = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
      assertRefusal(
        await raw(target, { method: 'PUT', key: 'b', body: 'x', contentSha256 }),
        'NotImplemented',
        501,
      );
      await refused(client.send(new HeadObjectCommand({ Bucket, Key: 'b' })), 'NotFound', 404);
    });
  });

  test('an error names its resource; a method that HTTP does not give to S3 is refused as S3 does', async () => {
    await withServer({}, async (_server, target) => {
      const response = await raw(target, { method: 'GET', key: 'no ne' });
      assert.match(response.text, new RegExp(`<Resource>/${Bucket}/no%20ne</Resource>`));
      assertRefusal(await raw(target, { method: 'PROPFIND', key: 'a' }), 'MethodNotAllowed', 405);
      const broken = await fetch(`${target.endpoint}/${Bucket}/%zz`);
      assert.match(await broken.text(), /<Code>InvalidURI<\/Code>/);
    });
  });

  test('a completed upload is answered for until its object is another one', async () => {
    await withServer({}, async (_server, target) => {
      const created = await raw(target, { method: 'POST', key: 'm', query: { uploads: '' } });
      const uploadId = /<UploadId>([^<]+)</.exec(created.text)?.[1] ?? '';
      const part = await raw(target, {
        method: 'PUT',
        key: 'm',
        query: { uploadId, partNumber: '1' },
        body: 'x',
      });
      const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.get('etag')}</ETag></Part></CompleteMultipartUpload>`;
      const complete = () => raw(target, { method: 'POST', key: 'm', query: { uploadId }, body });
      assert.equal((await complete()).status, 200);
      assert.equal((await complete()).status, 200);
      await target.client.send(new PutObjectCommand({ Bucket, Key: 'm', Body: 'other' }));
      assertRefusal(await complete(), 'NoSuchUpload', 404);
    });
  });

  test('stopping closes the port and every connection, idle or in the middle of an upload', async () => {
    await withServer({}, async (server, target, directory) => {
      await target.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
      const { request, response } = await beginPut(target, 'b', 1000);
      const broken = assert.rejects(response, /ECONNRESET|socket hang up/);
      request.write('only the beginning');
      while (server.requests.length < 2) {
        await sleep(10);
      }
      try {
        const stopped = server.stop().then(() => 'stopped');
        assert.equal(await Promise.race([stopped, sleep(3000, 'still open', { ref: false })]), 'stopped');
        await broken;
        await assert.rejects(fetch(server.endpoint), /fetch failed/);
        assert.equal((await readdir(join(directory, 'blobs'))).length, 1);
      } finally {
        request.destroy();
      }
    });
  });

  test('a port that is taken, or a bucket name against the rules, fails the start', async () => {
    await withServer({}, async (server, _target, directory) => {
      await assert.rejects(startS3Server({ directory, port: server.port, ...ACCOUNT }), /EADDRINUSE/);
    });
    const directory = await makeScratch();
    try {
      await assert.rejects(startS3Server({ directory, buckets: ['../x'], ...ACCOUNT }), /not a bucket name/);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
