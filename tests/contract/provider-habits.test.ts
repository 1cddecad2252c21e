/** The habits that the embedded server plays: each is there when its provider is asked for. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import {
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { ProviderName } from '../../testing/s3-server/habits/providers.ts';
import type { S3Server } from '../../testing/s3-server/server.ts';
import { resolveLocalNames } from '../support/local-names.ts';
import { ACCOUNT, BUCKET as Bucket, createClient, withServer } from './start.ts';
import { digest, refused, type Target } from './target.ts';
import { type Upload, uploader } from './uploads.ts';

resolveLocalNames();

const Key = 'key';
const BIG = randomBytes(5 * 1024 * 1024);

/** A test with a server that has a provider's habits, and a client that adds no checksums of its own. */
function as(
  provider: ProviderName,
  what: string,
  work: (client: S3Client, server: S3Server, target: Target) => Promise<void>,
): void {
  test(`${provider} ${what}`, () =>
    withServer({ provider }, async (server, target) => {
      const client = createClient(server.endpoint, ACCOUNT, { checksums: 'WHEN_REQUIRED' });
      try {
        await work(client, server, { ...target, client });
      } finally {
        client.destroy();
      }
    }));
}

/** An object of two parts, and what completing it said. */
async function twoParts(target: Target): Promise<{ upload: Upload; completed: string | undefined }> {
  const upload = await uploader(target)(undefined, {}, Key);
  const { ETag } = await upload.complete([await upload.put(1, BIG), await upload.put(2, 'end')]);
  return { upload, completed: ETag };
}

as('b2', 'refuses headers of checksums, also of reads', async (client) => {
  await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ServerSideEncryption: 'AES256' }));
  const requests = [
    () =>
      client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ChecksumSHA256: digest('sha256', 'x') })),
    () => client.send(new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'SHA256' })),
    () => client.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' })),
    () => client.send(new ListObjectsV2Command({ Bucket, OptionalObjectAttributes: ['RestoreStatus'] })),
  ];
  for (const request of requests) {
    const error = await refused(request(), 'InvalidArgument', 400);
    assert.match(error.message, /^Unsupported header 'x-amz-[\w-]+' received for this API call\.$/);
  }
});

as('b2', 'refuses conditions of writes, and classes that it does not have', async (client) => {
  await refused(
    client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', IfNoneMatch: '*' })),
    'NotImplemented',
    501,
  );
  const cold = new PutObjectCommand({ Bucket, Key, Body: 'x', StorageClass: 'DEEP_ARCHIVE' });
  await refused(client.send(cold), 'NotImplemented', 501);
});

as('r2', 'names the header that it refuses, with its value', async (client) => {
  const put = new PutObjectCommand({ Bucket, Key, Body: 'x', ServerSideEncryption: 'AES256' });
  const error = await refused(client.send(put), 'NotImplemented', 501);
  assert.equal(error.message, "Header 'x-amz-server-side-encryption' with value 'AES256' not implemented");
});

as('r2', 'wants parts of one size', async (_client, _server, target) => {
  const upload = await uploader(target)(undefined);
  const parts = [
    await upload.put(1, BIG),
    await upload.put(2, Buffer.concat([BIG, BIG])),
    await upload.put(3, 'end'),
  ];
  const error = await refused(upload.complete(parts), 'InvalidPart', 400);
  assert.equal(error.message, 'All non-trailing parts must have the same length.');
});

as('minio', 'has no KMS', async (client) => {
  const put = new PutObjectCommand({ Bucket, Key, Body: 'x', ServerSideEncryption: 'AES256' });
  const error = await refused(client.send(put), 'NotImplemented', 501);
  assert.match(error.message, /KMS is not configured/);
});

as('minio', 'shows an upload to those who know its whole key', async (client, _server, target) => {
  await uploader(target)(undefined, {}, 'folder/key');
  const list = async (Prefix: string) =>
    (await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }))).Uploads?.length ?? 0;
  assert.deepEqual([await list('folder/'), await list('folder/key')], [0, 1]);
});

for (const [provider, code, status] of [
  ['minio', 'MissingContentMD5', 400],
  ['ecs', 'MissingContentMD5', 400],
  ['oss', 'MissingArgument', 400],
] as const) {
  as(provider, 'wants Content-MD5 of DeleteObjects', async (client, server) => {
    const virtual = createClient(`http://s3.localhost:${server.port}`, ACCOUNT, { pathStyle: false });
    const remove = new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key }] } });
    await refused((provider === 'oss' ? virtual : client).send(remove), code, status);
    virtual.destroy();
  });
}

for (const [provider, code] of [
  ['oss', 'SecondLevelDomainForbidden'],
  ['cos', 'PathStyleDomainForbidden'],
] as const) {
  as(provider, 'wants the bucket in the host', async (client, server) => {
    await refused(client.send(new ListObjectsV2Command({ Bucket })), code, 403);
    const virtual = createClient(`http://s3.localhost:${server.port}`, ACCOUNT, { pathStyle: false });
    await virtual.send(new PutObjectCommand({ Bucket, Key: 'a b/ü', Body: 'x' }));
    const { Contents = [] } = await virtual.send(new ListObjectsV2Command({ Bucket }));
    assert.deepEqual(
      [Contents.map((object) => object.Key), server.requests.at(-1)?.bucket],
      [['a b/ü'], Bucket],
    );
    virtual.destroy();
  });
}

for (const provider of ['garage', 'oss', 'riak'] as const) {
  as(provider, 'takes conditions of writes and does not heed them', async (client, server) => {
    const virtual = createClient(`http://s3.localhost:${server.port}`, ACCOUNT, { pathStyle: false });
    const used = provider === 'oss' ? virtual : client;
    for (const Body of ['first', 'second']) {
      await used.send(new PutObjectCommand({ Bucket, Key, Body, IfNoneMatch: '*' }));
    }
    const { Body } = await used.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await Body?.transformToString(), 'second');
    virtual.destroy();
  });
}

for (const provider of ['ceph', 'riak', 'seaweedfs', 'late'] as const) {
  as(provider, 'keeps no checksums', async (client) => {
    const ChecksumSHA256 = digest('sha256', 'x');
    const put = await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ChecksumSHA256 }));
    assert.equal(put.ChecksumSHA256, undefined);
  });
}

as('ceph', 'tells no ETag of a completed upload', async (client, _server, target) => {
  const { completed } = await twoParts(target);
  const { ETag } = await client.send(new HeadObjectCommand({ Bucket, Key }));
  assert.deepEqual([completed ?? '', /-2"$/.test(ETag ?? '')], ['', true]);
});

as('riak', 'tells another ETag of a completed upload than HEAD', async (client, _server, target) => {
  const { completed } = await twoParts(target);
  const { ETag } = await client.send(new HeadObjectCommand({ Bucket, Key }));
  assert.notEqual(completed, ETag);
});

as('seaweedfs', 'tells another ETag to HEAD than to listings', async (client, _server, target) => {
  await twoParts(target);
  const { ETag } = await client.send(new HeadObjectCommand({ Bucket, Key }));
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
  assert.notEqual(Contents?.[0]?.ETag, ETag);
});

test('late finds a new object some time after it was written', () =>
  withServer({ provider: 'late', habits: { seenAfterMs: 3_600_000 } }, async (_server, { client }) => {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    await refused(client.send(new HeadObjectCommand({ Bucket, Key })), 'NotFound', 404);
    await refused(client.send(new GetObjectCommand({ Bucket, Key })), 'NoSuchKey', 404);
  }));

test('late finds it in the end', () =>
  withServer({ provider: 'late', habits: { seenAfterMs: 1 } }, async (_server, { client }) => {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const found = async (): Promise<unknown> =>
      client.send(new HeadObjectCommand({ Bucket, Key })).catch(() => found());
    await found();
  }));

as('nginx', 'answers a page instead of a large body', async (client, server) => {
  await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
  const response = await fetch(`${server.endpoint}/${Bucket}/${Key}`, {
    method: 'PUT',
    body: new Uint8Array(BIG),
  }).catch(() => undefined);
  // The connection may break before the answer is read, as it may with nginx.
  if (response !== undefined) assert.equal(response.status, 413);
  assert.equal(server.requests.at(-1)?.status, 413);
});

as('expiring', 'ends an upload at its fourth part', async (client, _server, target) => {
  const { Key: key, UploadId, put } = await uploader(target)(undefined);
  for (const number of [1, 2, 3]) await put(number, 'x');
  const part = { Bucket, Key: key, UploadId, Body: 'x' };
  await refused(client.send(new UploadPartCommand({ ...part, PartNumber: 4 })), 'NoSuchUpload', 404);
  await refused(client.send(new UploadPartCommand({ ...part, PartNumber: 1 })), 'NoSuchUpload', 404);
});

test('a server without habits takes the bucket in the host as well as in the path', () =>
  withServer({}, async (server, { client }) => {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const virtual = createClient(`http://s3.localhost:${server.port}`, ACCOUNT, { pathStyle: false });
    const { Body } = await virtual.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await Body?.transformToString(), 'x');
    virtual.destroy();
  }));
