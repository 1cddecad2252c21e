/** What the embedded server refuses as IAM would: each operation by the action it needs, in S3's words. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  RestoreObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { requiredActions } from '../../testing/s3-server/auth/actions.ts';
import type { S3Server, S3ServerOptions } from '../../testing/s3-server/server.ts';
import { ACCOUNT, BUCKET as Bucket, withServer } from './start.ts';
import { assertRefusal, raw, refused, type Target } from './target.ts';

type Call = (client: S3Client, UploadId: string | undefined) => Promise<unknown>;

/** Every operation of the server with the actions it needs; the keys are there, and the upload has a part. */
const CALLS: readonly (readonly [string, readonly string[], Call])[] = [
  ['PutObject', ['PutObject'], (s3) => s3.send(new PutObjectCommand({ Bucket, Key: 'new', Body: 'x' }))],
  [
    'PutObject, only if it is not there',
    ['PutObject'],
    (s3) => s3.send(new PutObjectCommand({ Bucket, Key: 'new', Body: 'x', IfNoneMatch: '*' })),
  ],
  [
    'PutObject, only over this ETag',
    ['PutObject', 'GetObject'],
    (s3) =>
      s3.send(
        new PutObjectCommand({
          Bucket,
          Key: 'a',
          Body: 'x',
          IfMatch: '9dd4e461268c8034f5c8564e155c67a6',
        }),
      ),
  ],
  ['GetObject', ['GetObject'], (s3) => s3.send(new GetObjectCommand({ Bucket, Key: 'a' }))],
  ['HeadObject', ['GetObject'], (s3) => s3.send(new HeadObjectCommand({ Bucket, Key: 'a' }))],
  ['DeleteObject', ['DeleteObject'], (s3) => s3.send(new DeleteObjectCommand({ Bucket, Key: 'a' }))],
  [
    'DeleteObject, only this ETag',
    ['DeleteObject', 'GetObject'],
    (s3) =>
      s3.send(new DeleteObjectCommand({ Bucket, Key: 'a', IfMatch: '9dd4e461268c8034f5c8564e155c67a6' })),
  ],
  [
    'CreateMultipartUpload',
    ['PutObject'],
    (s3) => s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'm' })),
  ],
  [
    'UploadPart',
    ['PutObject'],
    (s3, UploadId) =>
      s3.send(new UploadPartCommand({ Bucket, Key: 'm', UploadId, PartNumber: 2, Body: 'x' })),
  ],
  [
    'ListParts',
    ['ListMultipartUploadParts'],
    (s3, UploadId) => s3.send(new ListPartsCommand({ Bucket, Key: 'm', UploadId })),
  ],
  [
    'ListMultipartUploads',
    ['ListBucketMultipartUploads'],
    (s3) => s3.send(new ListMultipartUploadsCommand({ Bucket })),
  ],
  [
    'CompleteMultipartUpload',
    ['PutObject'],
    (s3, UploadId) =>
      s3.send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key: 'm',
          UploadId,
          MultipartUpload: { Parts: [{ PartNumber: 1, ETag: '9dd4e461268c8034f5c8564e155c67a6' }] },
        }),
      ),
  ],
  [
    'AbortMultipartUpload',
    ['AbortMultipartUpload'],
    (s3, UploadId) => s3.send(new AbortMultipartUploadCommand({ Bucket, Key: 'm', UploadId })),
  ],
  [
    'RestoreObject',
    ['RestoreObject'],
    (s3) => s3.send(new RestoreObjectCommand({ Bucket, Key: 'cold', RestoreRequest: { Days: 1 } })),
  ],
  ['ListObjectsV2', ['ListBucket'], (s3) => s3.send(new ListObjectsV2Command({ Bucket }))],
  ['HeadBucket', ['ListBucket'], (s3) => s3.send(new HeadBucketCommand({ Bucket }))],
  ['GetBucketLocation', ['GetBucketLocation'], (s3) => s3.send(new GetBucketLocationCommand({ Bucket }))],
  ['ListBuckets', ['ListAllMyBuckets'], (s3) => s3.send(new ListBucketsCommand({}))],
  ['CreateBucket', ['CreateBucket'], (s3) => s3.send(new CreateBucketCommand({ Bucket: 'another' }))],
  ['DeleteBucket', ['DeleteBucket'], (s3) => s3.send(new DeleteBucketCommand({ Bucket: 'empty' }))],
];

/** Runs `work` with a server that holds what CALLS want. */
async function withContent(
  options: Partial<S3ServerOptions>,
  work: (target: Target, server: S3Server, UploadId: string | undefined) => Promise<void>,
): Promise<void> {
  await withServer({ ...options, buckets: [Bucket, 'empty'] }, async (server, target) => {
    const settings = server.permissions.list();
    server.permissions.clear();
    const { client } = target;
    await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
    await client.send(new PutObjectCommand({ Bucket, Key: 'cold', Body: 'x', StorageClass: 'GLACIER' }));
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'm' }));
    await client.send(new UploadPartCommand({ Bucket, Key: 'm', UploadId, PartNumber: 1, Body: 'x' }));
    server.permissions.set(settings);
    await work(target, server, UploadId);
  });
}

/** Asserts a refusal; the answer to HEAD has no body, and so no code. */
async function denied(call: Promise<unknown>, name: string): Promise<void> {
  await refused(call, name.startsWith('Head') ? 'Unknown' : 'AccessDenied', 403);
}

describe('permissions of the embedded server', () => {
  test('every operation is refused without each of its actions', async () => {
    await withContent({}, async ({ client }, server, UploadId) => {
      for (const [name, actions, call] of CALLS) {
        const full = actions.map((action) => `s3:${action}`);
        for (const action of full) {
          server.permissions.set({ denied: [action] });
          await denied(call(client, UploadId), name);
          server.permissions.set({ allowed: full.filter((each) => each !== action) });
          await denied(call(client, UploadId), name);
        }
      }
    });
  });

  test('every operation does with its own actions alone', async () => {
    for (const [name, actions, call] of CALLS) {
      await withContent({ allowed: actions.map((action) => `s3:${action}`) }, async ({ client }, _, id) => {
        await assert.doesNotReject(call(client, id), name);
      });
    }
  });

  test('a refusal says who may not do what to what, and whether it was denied or not allowed', async () => {
    const user = `arn:aws:iam::000000000000:user/${ACCOUNT.accessKeyId}`;
    await withContent({ denied: ['s3:PutObject'] }, async (target, server) => {
      const put = await raw(target, { method: 'PUT', key: 'k e/y', body: 'x' });
      assertRefusal(put, 'AccessDenied', 403);
      assert.match(
        put.text,
        new RegExp(
          `<Message>User: ${user} is not authorized to perform: s3:PutObject on resource: &quot;arn:aws:s3:::${Bucket}/k e/y&quot; with an explicit deny in an identity-based policy</Message>`,
        ),
      );
      await target.client.send(new ListObjectsV2Command({ Bucket }));
      server.permissions.set({ allowed: [] });
      const list = await refused(
        target.client.send(new ListObjectsV2Command({ Bucket })),
        'AccessDenied',
        403,
      );
      assert.equal(
        list.message,
        `User: ${user} is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::${Bucket}" because no identity-based policy allows the s3:ListBucket action`,
      );
      const buckets = await refused(target.client.send(new ListBucketsCommand({})), 'AccessDenied', 403);
      assert.match(buckets.message, /perform: s3:ListAllMyBuckets because no/);
    });
  });

  test('DeleteObjects is refused key by key, within its answer', async () => {
    await withContent({ allowed: ['s3:DeleteObject a*', 's3:ListBucket'] }, async ({ client }) => {
      const Delete = { Objects: [{ Key: 'a' }, { Key: 'cold' }, { Key: 'ax', ETag: 'y' }] };
      const { Deleted, Errors } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }));
      assert.deepEqual(
        Deleted?.map(({ Key }) => Key),
        ['a'],
      );
      assert.deepEqual(
        Errors?.map(({ Key, Code }) => [Key, Code]),
        [
          ['cold', 'AccessDenied'],
          ['ax', 'AccessDenied'],
        ],
      );
      assert.match(Errors?.[0]?.Message ?? '', /perform: s3:DeleteObject on resource: ".*\/cold"/);
      assert.match(Errors?.[1]?.Message ?? '', /perform: s3:GetObject on resource/);
      const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
      assert.deepEqual(
        Contents?.map(({ Key }) => Key),
        ['cold'],
      );
    });
  });

  test('who may not list gets 403 instead of 404 for a key that is not there', async () => {
    await withContent({ denied: ['s3:ListBucket'] }, async ({ client }, server) => {
      const get = () => client.send(new GetObjectCommand({ Bucket, Key: 'none' }));
      const head = () => client.send(new HeadObjectCommand({ Bucket, Key: 'none' }));
      const { message } = await refused(get(), 'AccessDenied', 403);
      assert.match(message, /perform: s3:ListBucket on resource: "arn:aws:s3:::contract" with/);
      await refused(head(), 'Unknown', 403);
      await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
      const overNothing = new PutObjectCommand({ Bucket, Key: 'none', Body: 'x', IfMatch: 'y' });
      await refused(client.send(overNothing), 'NoSuchKey', 404);
      // A policy that allows listing under a prefix does not say so for the bucket.
      server.permissions.set({ allowed: ['s3:GetObject', 's3:ListBucket no*'] });
      await refused(get(), 'AccessDenied', 403);
      server.permissions.set({ allowed: ['s3:GetObject', 's3:ListBucket'] });
      await refused(get(), 'NoSuchKey', 404);
      await refused(head(), 'NotFound', 404);
    });
  });

  test('a pattern of keys limits an action to them, and for listing to prefixes', async () => {
    const allowed = ['s3:PutObject host/*', 's3:ListBucket host/*', 's3:GetObject'];
    await withContent({ allowed, denied: ['s3:GetObject *.secret'] }, async ({ client }, server) => {
      const put = (Key: string) => client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
      const list = (Prefix?: string) => client.send(new ListObjectsV2Command({ Bucket, Prefix }));
      await put('host/a');
      await put('host/a.secret');
      await refused(put('hosts/a'), 'AccessDenied', 403);
      await list('host/');
      await list('host/a/');
      await refused(list('host'), 'AccessDenied', 403);
      await refused(list(), 'AccessDenied', 403);
      await refused(client.send(new HeadBucketCommand({ Bucket })), 'Unknown', 403);
      await client.send(new GetObjectCommand({ Bucket, Key: 'host/a' }));
      await refused(client.send(new GetObjectCommand({ Bucket, Key: 'host/a.secret' })), 'AccessDenied', 403);
      server.permissions.set({ allowed: ['s3:ListBucket *'] });
      await list('');
      await refused(list(), 'AccessDenied', 403);
      await refused(client.send(new HeadBucketCommand({ Bucket })), 'Unknown', 403);
    });
  });

  test('a grant can be for conditional writes alone, and for what makes no object yet', async () => {
    const create = { grant: 's3:PutObject', only: 'if-none-match' } as const;
    const parts = { grant: 's3:PutObject', only: 'creates no object' } as const;
    const replace = { grant: 's3:PutObject a', only: 'if-match' } as const;
    const IfMatch = '9dd4e461268c8034f5c8564e155c67a6';
    await withContent({ allowed: [create, 's3:GetObject'] }, async ({ client }, server, UploadId) => {
      const put = (Key: string, conditions = {}) =>
        client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...conditions }));
      const part = () =>
        client.send(new UploadPartCommand({ Bucket, Key: 'm', UploadId, PartNumber: 1, Body: 'x' }));
      const complete = (conditions = {}) =>
        client.send(
          new CompleteMultipartUploadCommand({
            Bucket,
            Key: 'm',
            UploadId,
            ...conditions,
            MultipartUpload: { Parts: [{ PartNumber: 1, ETag: IfMatch }] },
          }),
        );
      await refused(put('new'), 'AccessDenied', 403);
      await put('new', { IfNoneMatch: '*' });
      await refused(put('a', { IfNoneMatch: '*' }), 'PreconditionFailed', 412);
      await refused(put('a', { IfMatch }), 'AccessDenied', 403);
      await refused(part(), 'AccessDenied', 403);
      server.permissions.set({ allowed: [create, parts, replace, 's3:GetObject'] });
      await put('a', { IfMatch });
      await refused(put('cold', { IfMatch }), 'AccessDenied', 403);
      await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'n' }));
      await part();
      await refused(complete(), 'AccessDenied', 403);
      await complete({ IfNoneMatch: '*' });
    });
  });

  test('the signature comes first, and nothing of a refused body is kept', async () => {
    await withContent({ denied: ['s3:PutObject'] }, async (target) => {
      const stranger = { accessKeyId: 'AKSTRANGER', secretAccessKey: 'another' };
      assertRefusal(
        await raw(target, { method: 'PUT', key: 'b', body: 'x', ...stranger }),
        'InvalidAccessKeyId',
        403,
      );
      await refused(
        target.client.send(new PutObjectCommand({ Bucket, Key: 'b', Body: Buffer.alloc(3_000_000) })),
        'AccessDenied',
        403,
      );
      const { KeyCount } = await target.client.send(new ListObjectsV2Command({ Bucket }));
      assert.equal(KeyCount, 2);
    });
  });

  test('an operation whose needs are not known is refused once anything is restricted', async () => {
    await withContent({}, async (target, server) => {
      const acl = () => raw(target, { method: 'GET', key: 'a', query: { acl: '' } });
      assertRefusal(await acl(), 'NotImplemented', 501);
      server.permissions.set({ allowed: ['s3:GetObject'] });
      const response = await acl();
      assertRefusal(response, 'NotImplemented', 501);
      assert.match(response.text, /not known which permissions Unknown\(acl\) needs/);
    });
  });

  test('an action that does not exist is an error, and changes nothing', async () => {
    await assert.rejects(
      withServer({ denied: ['s3:PutObjekt'] }, async () => undefined),
      /permissions: denied\.0: 's3:PutObjekt' is not an action that this server knows/,
    );
    await withContent({ denied: ['s3:GetObject'] }, async ({ client }, { permissions }) => {
      assert.throws(
        () => permissions.set({ allowed: ['PutObject host/*'] }),
        /allowed\.0: 'PutObject' is not/,
      );
      assert.deepEqual(permissions.list().denied, ['s3:GetObject']);
      await refused(client.send(new GetObjectCommand({ Bucket, Key: 'a' })), 'AccessDenied', 403);
      permissions.clear();
      await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
    });
  });

  test('versions, locks and retention have actions of their own', () => {
    const needs = (
      operation: string,
      query: Readonly<Record<string, string>>,
      headers: Readonly<Record<string, string>> = {},
    ) => requiredActions(operation, { query, headers });
    const versionId = { versionId: 'v' };
    assert.deepEqual(needs('GetObject', versionId), ['s3:GetObjectVersion']);
    assert.deepEqual(needs('HeadObject', versionId), ['s3:GetObjectVersion']);
    assert.deepEqual(needs('GetObjectAttributes', {}), ['s3:GetObject', 's3:GetObjectAttributes']);
    assert.deepEqual(needs('GetObjectAttributes', versionId), [
      's3:GetObjectVersion',
      's3:GetObjectVersionAttributes',
    ]);
    assert.deepEqual(needs('DeleteObject', {}, { 'if-match': '*' }), ['s3:DeleteObject']);
    assert.deepEqual(needs('DeleteObject', versionId, { 'x-amz-bypass-governance-retention': 'true' }), [
      's3:DeleteObjectVersion',
      's3:BypassGovernanceRetention',
    ]);
    assert.deepEqual(needs('DeleteObject', {}, { 'x-amz-bypass-governance-retention': 'false' }), [
      's3:DeleteObject',
    ]);
    assert.deepEqual(needs('CreateMultipartUpload', {}, { 'x-amz-object-lock-mode': 'GOVERNANCE' }), [
      's3:PutObject',
      's3:PutObjectRetention',
    ]);
    assert.deepEqual(needs('DeleteBucketLifecycle', {}), ['s3:PutLifecycleConfiguration']);
  });
});
