/** From some request on, the server refuses everything for good: no wait helps, so the run ends at once, and says why. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateBucketCommand, DeleteBucketCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import {
  assertFailed,
  assertPublished,
  assertSentOnce,
  concurrency,
  endsAtOnce,
  partBytes,
  proveBackup,
  proveRestore,
  restoreUnderWay,
  unfinishedUploads,
  uploadUnderWay,
  worldWithData,
} from '../end-to-end/under-way.ts';
import { allKeys, type World } from '../end-to-end/world.ts';

/** Deletes the bucket with all that is in it, which a run may still be adding to. */
async function deleteBucket(world: World): Promise<void> {
  const { client } = world;
  const Bucket = 'backups';
  for (let isDeleted = false; !isDeleted; ) {
    for (const Key of await allKeys(world)) await client.send(new DeleteObjectCommand({ Bucket, Key }));
    isDeleted = await client.send(new DeleteBucketCommand({ Bucket })).then(
      () => true,
      (error: Error) => {
        if (error.name !== 'BucketNotEmpty') throw error;
        return false;
      },
    );
  }
}

test('the bucket is deleted in the middle of an upload and of a restore: both say so at once', async (t) => {
  const world = await worldWithData(t);
  const missing = /the bucket does not exist \(bucket backups, http.*\); check S3_BUCKET, /;
  const upload = await uploadUnderWay(world);
  await deleteBucket(world);
  await assertFailed(
    world,
    await endsAtOnce(upload),
    new RegExp(`^cannot (begin|store|complete) .*: ${missing.source}`),
  );
  world.server.faults.clear();
  await assertFailed(world, await world.run('snapshot.ts'), missing);
  await world.client.send(new CreateBucketCommand({ Bucket: 'backups' }));
  await assertPublished(world, 0);
  await proveBackup(world);
  assert.deepEqual(await unfinishedUploads(world), []);

  const target = join(world.mount, 'restored');
  const restore = await restoreUnderWay(world, target);
  // A bucket is emptied before it is deleted: who reads in between misses a chunk, which is damage.
  world.server.faults.set([{ fault: 'error', code: 'NoSuchBucket', operation: 'GetObject' }]);
  await deleteBucket(world);
  await assertFailed(world, await endsAtOnce(restore), new RegExp(`^cannot read .*: ${missing.source}`));
  world.server.faults.clear();
  await world.client.send(new CreateBucketCommand({ Bucket: 'backups' }));
  const { manifest } = await world.backup();
  assert.equal(manifest.kind, 'full');
  await proveRestore(world, target);
});

for (const [code, says] of [
  ['ExpiredToken', 'the credentials have expired \\(.*\\); renew them and run again'],
  ['RequestTimeTooSkewed', "this host's clock differs from the server's .*; set the clock "],
] as const) {
  test(`${code} in the middle of an upload and of a restore: named at once, and the next runs go on`, async (t) => {
    const world = await worldWithData(t);
    const refuse = () => world.server.faults.set([{ fault: 'error', code }]);
    const upload = await uploadUnderWay(world);
    refuse();
    await assertFailed(
      world,
      await endsAtOnce(upload),
      new RegExp(`^cannot (begin|store|complete) .*: ${says}`),
    );
    world.server.faults.clear();
    await assertPublished(world, 0);
    const whole = await allKeys(world);
    assert.ok(whole.length > 0, 'some chunks are whole');
    const since = world.server.requests.length;
    const total = await proveBackup(world);
    await assertSentOnce(world, { whole, since, mostBytes: total + concurrency * partBytes });

    const target = join(world.mount, 'restored');
    const restore = await restoreUnderWay(world, target);
    refuse();
    await assertFailed(world, await endsAtOnce(restore), new RegExp(`^cannot read .*: ${says}`));
    world.server.faults.clear();
    await proveRestore(world, target);
  });
}
