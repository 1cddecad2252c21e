/** Manifest and pointer when answers are lost and others write meanwhile: ours is known again, theirs stays. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { FaultRule } from '../../testing/s3-server/faults/fault-rules.ts';
import {
  allKeys,
  createWorld,
  errorLines,
  namesIn,
  pointerKey,
  readObject,
  type World,
  writeObject,
} from '../end-to-end/world.ts';

const target = { Bucket: 'backups', Key: pointerKey };

/** A finished upload that waits to be published; with a published backup before it if `onto` says so. */
async function prepare(t: TestContext, onto: 'nothing' | 'a full'): Promise<World> {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  if (onto === 'a full') await world.backup();
  await writeFile(join(world.data, 'file'), '22');
  for (const script of ['snapshot.ts', 'send-chunk-upload.ts']) {
    const { exitCode, stderr } = await world.run(script);
    assert.equal(exitCode, 0, stderr);
  }
  return world;
}

/** Publishes under faults; all of them must have been met. */
async function publish(world: World, ...faults: readonly FaultRule[]) {
  world.server.faults.set(faults);
  const result = await world.run('manifest.ts');
  const unmet = world.server.faults.list().filter(({ fired }) => fired === 0);
  world.server.faults.clear();
  assert.deepEqual(unmet, []);
  return result;
}

async function isSound(world: World): Promise<void> {
  const { exitCode, stdout } = await world.run('verify.ts', '--deep');
  assert.equal(exitCode, 0, stdout);
}

const lost = (key: string): FaultRule => ({ fault: 'lost-response', operation: 'PutObject', key, next: 1 });

for (const onto of ['nothing', 'a full'] as const) {
  test(`lost answers to manifest and pointer, onto ${onto}: both are known again as our own`, async (t) => {
    const world = await prepare(t, onto);
    const result = await publish(world, lost('*/manifest-*'), lost('*/current.json'));
    assert.equal(result.exitCode, 0, result.stderr);
    const { manifest_key: key } = JSON.parse(await readObject(world, pointerKey));
    assert.ok(result.stdout.includes(key), result.stdout);
    await isSound(world);
    assert.equal((await world.backup()).manifest.parent_manifest, key);
  });
}

async function isRefused(world: World, result: { exitCode: number | null; stderr: string }): Promise<void> {
  assert.equal(result.exitCode, 1, result.stderr);
  const lines = errorLines({ stdout: '', ...result });
  assert.equal(lines.length, 1, result.stderr);
  assert.match(
    lines[0] ?? '',
    /another writer was first: .*current\.json was changed since this backup was planned/,
  );
  assert.ok(
    (await namesIn(join(world.runDirectory, 'data'))).includes('chunks.json'),
    'nothing of ours is lost',
  );
}

/** Not with PutObject, which meets the faults. */
async function writePointerOf(world: World, text: string): Promise<void> {
  const { UploadId } = await world.client.send(new CreateMultipartUploadCommand(target));
  const { ETag } = await world.client.send(
    new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: text }),
  );
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  await world.client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload }));
}

test('a lost answer to the pointer, and another writer before it is sent again: theirs stays, and ours is not claimed', async (t) => {
  const world = await prepare(t, 'a full');
  const before = await readObject(world, pointerKey);
  const theirs = `${before} `;
  const busy = { fault: 'error', operation: 'PutObject', key: '*/current.json' } as const;
  const publishing = publish(world, lost('*/current.json'), { ...busy, code: 'ServiceUnavailable' });
  const fired = () =>
    world.server.faults.list().some((status) => status.rule.fault === 'error' && status.fired > 0);
  for (const end = Date.now() + 60_000; !fired() && Date.now() < end; ) await sleep(10);
  assert.notEqual(await readObject(world, pointerKey), before, 'ours was written');
  await writePointerOf(world, theirs);
  world.server.faults.set([{ ...busy, code: 'ServiceUnavailable', next: 1 }]);
  await isRefused(world, await publishing);
  assert.equal(await readObject(world, pointerKey), theirs);
  await world.backup();
  await isSound(world);
});

test('a pointer that is deleted between planning and publishing is not written again', async (t) => {
  const world = await prepare(t, 'a full');
  await world.client.send(new DeleteObjectCommand(target));
  await isRefused(world, await publish(world));
  assert.ok(!(await allKeys(world)).includes(pointerKey));
  assert.equal((await world.backup()).manifest.kind, 'full', 'planned anew, on nothing');
  await isSound(world);
});

test('a pointer that came between planning and publishing the first backup stays', async (t) => {
  const world = await prepare(t, 'nothing');
  const theirs =
    '{"manifest_key":"fleet/host-1/subvol/data/full/manifest-20200101T000000Z.json","kind":"full","created_at":"20200101T000000Z"}';
  await writeObject(world, pointerKey, theirs);
  await isRefused(world, await publish(world));
  assert.equal(await readObject(world, pointerKey), theirs);
});

test('a manifest with our key and other words is another writer’s', async (t) => {
  const world = await prepare(t, 'nothing');
  const [snapshot = ''] = await namesIn(world.snapshots);
  const key = `fleet/host-1/subvol/data/full/manifest-${snapshot.split('__')[1]}.json`;
  await writeObject(world, key, '{}');
  const result = await publish(world);
  assert.equal(result.exitCode, 1);
  assert.match(errorLines(result).join(), /another writer was first: .*manifest-\w+\.json exists already/);
  assert.equal(await readObject(world, key), '{}');
  assert.ok(!(await allKeys(world)).includes(pointerKey), 'nothing is published');
});
