/** How objects are stored: encryption with a KMS key, where no ETag is an MD5, and storage classes that a server does not have. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { allKeys, createWorld, errorLines, mustSucceed } from '../end-to-end/world.ts';

const mib = 2 ** 20;
const kmsKey = 'arn:aws:kms:us-east-1:111122223333:key/1234abcd';

test('with SSE=aws:kms an upload goes on, and what is verified and restored is what was sent', async (t) => {
  const world = await createWorld(t, {
    SSE: 'aws:kms',
    SSE_KMS_KEY_ID: kmsKey,
    CHUNK_SIZE: '10MiB',
    CONCURRENCY: '1',
    RETRY_FOR: '1s',
  });
  await writeFile(join(world.data, 'random'), randomBytes(22 * mib));
  await mustSucceed(world, 'snapshot.ts');
  world.server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: 3 }]);
  assert.equal((await world.run('send-chunk-upload.ts')).exitCode, 1);
  // What resumes, and what was stored without an answer, is known by SHA-256.
  world.server.faults.set([
    { fault: 'lost-response', operation: 'CompleteMultipartUpload', next: 1 },
    { fault: 'lost-response', operation: 'PutObject', key: '*.bin', next: 1 },
  ]);
  const since = world.server.requests.length;
  const { manifest } = await world.backup();
  world.server.faults.clear();
  const parts = world.server.requests
    .slice(since)
    .filter(({ operation, status }) => operation === 'UploadPart' && status === 200);
  assert.equal(parts.length, 1, 'of four parts, three were there');
  assert.equal(manifest.chunks.length, 3);
  await writeFile(join(world.data, 'more'), randomBytes(1000));
  const second = await world.backup();
  assert.equal(second.manifest.kind, 'incremental');

  for (const Key of await allKeys(world)) {
    const head = await world.client.send(new HeadObjectCommand({ Bucket: 'backups', Key }));
    assert.deepEqual([head.ServerSideEncryption, head.SSEKMSKeyId], ['aws:kms', kmsKey], Key);
  }
  await mustSucceed(world, 'verify.ts');
  await mustSucceed(world, 'verify.ts', '--deep');
  const target = join(world.mount, 'restored');
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target);
  assert.deepEqual(await treeDigest(target), await treeDigest(second.manifest.snapshot.path));
});

test('a storage class that the server does not have is one line, and the next run continues with another', async (t) => {
  const world = await createWorld(t, { STORAGE_CLASS_CHUNKS: 'GLACIER_IR' });
  await writeFile(join(world.data, 'random'), randomBytes(12 * mib));
  await mustSucceed(world, 'snapshot.ts');
  world.server.faults.set([
    { fault: 'error', code: 'InvalidStorageClass', operation: ['CreateMultipartUpload', 'PutObject'] },
  ]);
  const refused = await world.run('send-chunk-upload.ts');
  assert.equal(refused.exitCode, 1, refused.stderr);
  const lines = errorLines(refused);
  assert.equal(lines.length, 1, refused.stderr);
  assert.match(lines[0] ?? '', /does not have this storage class .*STORAGE_CLASS_CHUNKS/);
  assert.deepEqual(await allKeys(world), ['fleet/host-1/RESTORE.txt'], 'nothing of a backup');
  world.server.faults.clear();
  await mustSucceed(world, 'send-chunk-upload.ts', '--set', 'STORAGE_CLASS_CHUNKS=STANDARD');
  await mustSucceed(world, 'manifest.ts');

  const listed = await mustSucceed(world, 'list.ts');
  const advice = listed.stderr.split('\n').filter((line) => /incomplete uploads/.test(line));
  assert.equal(advice.length, 1, listed.stderr);
  assert.match(listed.stdout, /STANDARD/);
  const json = await mustSucceed(world, 'list.ts', '--json');
  assert.equal(json.stderr, '');
  assert.equal(JSON.parse(json.stdout).backups.length, 1);
});
