/** From some request on, the server refuses everything for good: no wait helps, so the run ends at once, and says why. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, DeleteBucketCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import type { EndedScript, RunningScript } from '../end-to-end/running-script.ts';
import {
  assertFailed,
  assertPublished,
  chunkBytes,
  concurrency,
  partBytes,
  proveBackup,
  proveRestore,
  restoreUnderWay,
  unfinishedUploads,
  uploadUnderWay,
} from '../end-to-end/under-way.ts';
import { allKeys, createWorld, type World } from '../end-to-end/world.ts';

const mib = 2 ** 20;

/** RETRY_FOR is half an hour here; what is under way may still end. */
const atOnceMs = 60_000;

async function worldWithData(t: TestContext): Promise<World> {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(60 * mib));
  return world;
}

async function endsAtOnce({ said, ended }: RunningScript): Promise<EndedScript> {
  const tooLate = sleep(atOnceMs, undefined, { ref: false });
  const result = await Promise.race([ended, tooLate]);
  assert.doesNotMatch(said(), /trying again/);
  return result ?? assert.fail(`it still runs after ${atOnceMs} ms: ${said()}`);
}

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
    const sentAgain = world.server.requests
      .slice(since)
      .filter(({ key, bytesReceived }) => bytesReceived > 0 && whole.includes(key ?? ''));
    assert.deepEqual(sentAgain, []);
    const sent = chunkBytes(world.server);
    assert.ok(sent <= total + concurrency * partBytes, `${sent} bytes were sent for a stream of ${total}`);
    assert.deepEqual(await unfinishedUploads(world), []);

    const target = join(world.mount, 'restored');
    const restore = await restoreUnderWay(world, target);
    refuse();
    await assertFailed(world, await endsAtOnce(restore), new RegExp(`^cannot read .*: ${says}`));
    world.server.faults.clear();
    await proveRestore(world, target);
  });
}
