import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { MIB } from '../../lib/core/units.ts';
import { type LineOptions, startSink } from '../../testing/bench/sink/start-sink.ts';
import { Line } from '../../testing/bench/sink/throttle.ts';
import { plainEnvironment } from '../../testing/harness/processes/plain-environment.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('sink');
const plain: LineOptions = { tls: false, delayMs: 0, megabitsPerSecond: undefined };
const content = randomBytes(6 * MIB + 5);
const streamFile = join(directory, 'stream');
writeFileSync(streamFile, content);
after(() => rmSync(streamFile, { force: true }));

async function connect(line: LineOptions) {
  const sink = await startSink(line, directory, plainEnvironment({}), streamFile);
  const { endpoint, region, accessKeyId, secretAccessKey } = sink;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1 });
  return { sink, client, place: (Key: string) => ({ Bucket: sink.bucket, Key }) };
}

const { sink, client, place } = await connect(plain);
after(() => sink.stop());
after(() => client.destroy());

async function bytesOf(Key: string, Range?: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ ...place(Key), Range }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

test('a small object comes back as it was put, with its checksum, and is gone when it is deleted', async () => {
  const put = await client.send(
    new PutObjectCommand({ ...place('a/b c+d'), Body: 'words', ChecksumAlgorithm: 'SHA256' }),
  );
  assert.equal(put.ChecksumSHA256?.length, 44);
  assert.equal((await bytesOf('a/b c+d')).toString(), 'words');
  const head = await client.send(new HeadObjectCommand({ ...place('a/b c+d'), ChecksumMode: 'ENABLED' }));
  assert.deepEqual([head.ContentLength, head.ETag, head.ChecksumSHA256], [5, put.ETag, put.ChecksumSHA256]);
  await client.send(new DeleteObjectCommand(place('a/b c+d')));
  await assert.rejects(bytesOf('a/b c+d'), { name: 'NoSuchKey' });
  await assert.rejects(client.send(new HeadObjectCommand(place('a/b c+d'))), { name: 'NotFound' });
});

test('an upload is begun, listed, completed, and of the same ETag when it is made again', async () => {
  const make = async () => {
    const begin = { ...place('big'), ChecksumAlgorithm: 'SHA256' } as const;
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(begin));
    const Parts = [];
    for (const [PartNumber, Body] of [
      [1, content.subarray(0, 5 * MIB)],
      [2, content.subarray(5 * MIB)],
    ] as const) {
      const part = { ...place('big'), UploadId, PartNumber, Body, ChecksumAlgorithm: 'SHA256' } as const;
      const { ETag, ChecksumSHA256 } = await client.send(new UploadPartCommand(part));
      Parts.push({ PartNumber, ETag, ChecksumSHA256 });
    }
    const listed = await client.send(new ListPartsCommand({ ...place('big'), UploadId }));
    assert.deepEqual(
      listed.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
      [
        [1, 5 * MIB],
        [2, MIB + 5],
      ],
    );
    const done = { ...place('big'), UploadId, MultipartUpload: { Parts } };
    return client.send(new CompleteMultipartUploadCommand(done));
  };
  const [first, second] = [await make(), await make()];
  assert.match(first.ETag ?? '', /-2"$/);
  assert.match(first.ChecksumSHA256 ?? '', /=-2$/);
  assert.equal(second.ETag, first.ETag);
  const head = await client.send(new HeadObjectCommand({ ...place('big'), ChecksumMode: 'ENABLED' }));
  const told = [head.ContentLength, head.ETag, head.ChecksumSHA256];
  assert.deepEqual(told, [content.length, first.ETag, first.ChecksumSHA256]);
});

test('a large object has the bytes of the file, in whole and in ranges', async () => {
  const params = { ...place('streamed'), Body: content };
  await new Upload({ client, params, partSize: 5 * MIB }).done();
  assert.ok((await bytesOf('streamed')).equals(content));
  for (const [start, end] of [
    [0, 0],
    [MIB - 1, MIB],
    [3 * MIB, content.length - 1],
  ] as const) {
    const got = await bytesOf('streamed', `bytes=${start}-${end}`);
    assert.ok(got.equals(content.subarray(start, end + 1)), `${start}-${end}`);
  }
});

test('it counts the bytes of objects in both directions, and begins anew when it was asked', async () => {
  await sink.counts();
  await client.send(new PutObjectCommand({ ...place('counted'), Body: content.subarray(0, 2 * MIB) }));
  await bytesOf('counted', 'bytes=0-99');
  const { passingMs, ...counts } = await sink.counts();
  assert.deepEqual(counts, { requests: 2, receivedBytes: 2 * MIB, sentBytes: 100 });
  assert.ok(passingMs >= 0);
  assert.deepEqual(await sink.counts(), { requests: 0, receivedBytes: 0, sentBytes: 0, passingMs: 0 });
});

test('keys are listed in order, page by page', async () => {
  const keys = ['list/b', 'list/a', 'list/c'];
  for (const key of keys) await client.send(new PutObjectCommand({ ...place(key), Body: 'x' }));
  const ask = (ContinuationToken?: string) =>
    client.send(
      new ListObjectsV2Command({ Bucket: sink.bucket, Prefix: 'list/', MaxKeys: 2, ContinuationToken }),
    );
  const first = await ask();
  const second = await ask(first.NextContinuationToken);
  const listed = [first, second].map(({ Contents }) => Contents?.map(({ Key }) => Key));
  assert.deepEqual(listed, [['list/a', 'list/b'], ['list/c']]);
  assert.deepEqual([first.IsTruncated, second.IsTruncated], [true, false]);
});

test('a far and narrow line takes its time, in both directions', async () => {
  const far = await connect({ ...plain, delayMs: 100, megabitsPerSecond: 16 });
  after(() => far.client.destroy());
  after(() => far.sink.stop());
  const put = new PutObjectCommand({ ...far.place('slow'), Body: content.subarray(0, 2 * MIB) });
  const seconds = async (action: () => Promise<unknown>) => {
    const startedMs = performance.now();
    await action();
    return (performance.now() - startedMs) / 1000;
  };
  // 2 MiB at 2,000,000 bytes a second are 1.05 s.
  const up = await seconds(() => far.client.send(put));
  assert.ok(up >= 1.1, `up: ${up} s`);
  const down = await seconds(async () => {
    const { Body } = await far.client.send(new GetObjectCommand(far.place('slow')));
    await Body?.transformToByteArray();
  });
  assert.ok(down >= 1.1, `down: ${down} s`);
});

test('it speaks TLS with a certificate for its address', async () => {
  const secure = await startSink({ ...plain, tls: true }, directory, plainEnvironment({}));
  after(() => secure.stop());
  assert.match(secure.endpoint, /^https:/);
  // This verifies the certificate; a client that does not know it is refused.
  assert.deepEqual(await secure.counts(), { requests: 0, receivedBytes: 0, sentBytes: 0, passingMs: 0 });
  await assert.rejects(fetch(secure.endpoint), /fetch failed/);
});

test('bytes pass a line one after the other, and an idle line gives no credit', () => {
  const line = new Line(1000);
  assert.deepEqual([line.pass(500, 0), line.pass(500, 0), line.pass(100, 900)], [500, 1000, 200]);
  assert.equal(line.pass(100, 60_000), 100);
});
