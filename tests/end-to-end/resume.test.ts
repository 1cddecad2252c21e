/** An interrupted upload, and what had changed before it was run again: each time the cheapest safe way, and the log says which. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
} from '@aws-sdk/client-s3';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { refusal } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { createWorld, namesIn, type World } from './world.ts';

const mib = 2 ** 20;
const theirKey = 'fleet/host-2/subvol/data/full/chunk-20260101T020000Z-00000.bin';

/** A world in which an upload stopped after five parts: two chunks are whole, of the third there is one part. */
async function cutOff(t: TestContext): Promise<World> {
  const world = await createWorld(t, {
    CHUNK_SIZE: '10MiB',
    PART_SIZE: '5MiB',
    CONCURRENCY: '1',
    RETRY_FOR: '1s',
  });
  for (const name of ['a', 'b']) await writeFile(join(world.data, name), randomBytes(25 * mib));
  await world.client.send(new CreateMultipartUploadCommand({ Bucket: 'backups', Key: theirKey }));
  await (await hostIn(world)).plan();
  await cutOffUpload(world, 5);
  assert.equal((await unfinished(world)).length, 2, 'theirs and ours');
  return world;
}

async function cutOffUpload(world: World, parts: number): Promise<void> {
  world.server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: parts }]);
  await refusal((await hostIn(world)).upload());
  world.server.faults.clear();
}

async function unfinished(world: World, Bucket = 'backups'): Promise<readonly string[]> {
  const { Uploads = [] } = await world.client.send(new ListMultipartUploadsCommand({ Bucket }));
  return Uploads.map(({ Key }) => Key ?? '');
}

/** Names of the chunks of which parts were sent since a number of requests. */
function chunksSent(world: World, since: number): readonly string[] {
  const sent = world.server.requests
    .slice(since)
    .filter(({ key, bytesReceived }) => key?.endsWith('.bin') && bytesReceived > 0)
    .map(({ key }) => /-(\d{5})\.bin$/.exec(key ?? '')?.[1] ?? '');
  return [...new Set(sent)].sort();
}

/** Uploads and publishes, and restores what was published: it has to be what the snapshot holds. Gives what the upload said. */
async function goOn(world: World, settings: Readonly<Record<string, string>> = {}): Promise<string> {
  const host = await hostIn(world, { settings });
  await host.upload();
  const said = host.said.join('\n');
  await host.publish();
  const target = join(world.mount, 'restored');
  await host.restore(target);
  const [snapshot = ''] = await namesIn(world.snapshots);
  assert.deepEqual(await treeDigest(target), await treeDigest(join(world.snapshots, snapshot)));
  return said;
}

/** Plans as each run does, with which it may give up what there is. Gives what it said. */
async function planAnew(world: World, dryRun = false): Promise<string> {
  const host = await hostIn(world);
  await host.plan('auto', false, dryRun);
  return host.said.join('\n');
}

test('when nothing has changed but that PART_SIZE is left to the tool, only what is missing is sent', async (t) => {
  const world = await cutOff(t);
  const before = world.server.requests.length;
  // Parts would have 10 MiB, as the chunks have.
  await goOn(world, { PART_SIZE: 'auto' });
  const sent = world.server.requests.slice(before).filter(({ operation }) => operation === 'UploadPart');
  assert.deepEqual(
    sent.filter(({ key }) => /-0000[01]\.bin$/.test(key ?? '')),
    [],
  );
  const third = sent.filter(({ key }) => key?.endsWith('-00002.bin'));
  assert.deepEqual(
    third.map(({ partNumber }) => partNumber),
    [2],
  );
  assert.deepEqual(await unfinished(world), [theirKey]);
});

for (const [changes, says] of [
  [{ CHUNK_SIZE: '15MiB' }, 'CHUNK_SIZE'],
  [{ PART_SIZE: '6MiB' }, 'PART_SIZE'],
  [{ STORAGE_CLASS_CHUNKS: 'STANDARD_IA', SSE: 'none' }, 'STORAGE_CLASS_CHUNKS, SSE'],
] as const) {
  test(`when ${says} changed, the upload begins again, says why, and gives the old one up`, async (t) => {
    const world = await cutOff(t);
    const said = await goOn(world, changes);
    assert.match(said, new RegExp(`data: ${says} changed: the upload begins again`));
    assert.match(said, /aborted the unfinished upload of .*-00002\.bin/);
    assert.deepEqual(await unfinished(world), [theirKey]);
  });
}

test('when the bucket changed, the upload goes there, and what stays in the old one is named', async (t) => {
  const world = await cutOff(t);
  await world.client.send(new CreateBucketCommand({ Bucket: 'elsewhere' }));
  const said = await goOn(world, { S3_BUCKET: 'elsewhere' });
  assert.match(said, /data: S3_BUCKET changed: the upload begins again/);
  assert.match(said, /unfinished upload of .*-00002\.bin stays in bucket backups/);
  assert.deepEqual(await unfinished(world, 'elsewhere'), []);
});

test('when the server forgot the unfinished upload, its parts are sent again, and the whole chunks are not', async (t) => {
  const world = await cutOff(t);
  const { Uploads = [] } = await world.client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
  for (const { Key, UploadId } of Uploads.filter((upload) => upload.Key !== theirKey)) {
    await world.client.send(new AbortMultipartUploadCommand({ Bucket: 'backups', Key, UploadId }));
  }
  const before = world.server.requests.length;
  const said = await goOn(world);
  assert.match(said, /data: the server no longer knows the upload of .*-00002\.bin/);
  assert.deepEqual(chunksSent(world, before), ['00002', '00003', '00004', '00005']);
});

test('when the journal is gone, the upload begins again, and what it had begun is given up', async (t) => {
  const world = await cutOff(t);
  await rm(join(world.runDirectory, 'data/upload.jsonl'));
  const said = await planAnew(world);
  assert.match(said, /aborted the unfinished upload of .*-00002\.bin/);
  await goOn(world);
  assert.deepEqual(await unfinished(world), [theirKey]);
});

test('when the snapshot is gone, so is its unfinished upload, and a new backup begins', async (t) => {
  const world = await cutOff(t);
  const [snapshot = ''] = await namesIn(world.snapshots);
  await shell`btrfs subvolume delete ${join(world.snapshots, snapshot)}`;
  const said = await planAnew(world);
  assert.match(said, /an unfinished backup is given up: its snapshot .* is gone/);
  assert.match(said, /aborted the unfinished upload of .*-00002\.bin/);
  assert.deepEqual(await unfinished(world), [theirKey]);
  await goOn(world);
});

test('a dry run gives nothing up', async (t) => {
  const world = await cutOff(t);
  const [snapshot = ''] = await namesIn(world.snapshots);
  await shell`btrfs subvolume delete ${join(world.snapshots, snapshot)}`;
  const journal = await readFile(join(world.runDirectory, 'data/upload.jsonl'), 'utf8');
  await planAnew(world, true);
  assert.equal((await unfinished(world)).length, 2);
  assert.equal(await readFile(join(world.runDirectory, 'data/upload.jsonl'), 'utf8'), journal);
});

test('when the stream changed, the chunks that hold the change are sent again, and the others are not', async (t) => {
  const world = await cutOff(t);
  // Now four chunks are whole; the second file begins in the third.
  await cutOffUpload(world, 3);
  const [name = ''] = await namesIn(world.snapshots);
  const snapshot = join(world.snapshots, name);
  await shell`btrfs property set -t subvol ${snapshot} ro false`;
  const file = await open(join(snapshot, 'b'), 'r+');
  await file.write(randomBytes(mib), 0, mib, 12 * mib);
  await file.close();
  await shell`btrfs property set -t subvol ${snapshot} ro true`;
  const before = world.server.requests.length;
  const said = await goOn(world);
  // The stream begins with the generation at which the snapshot was changed last.
  assert.match(said, /the stream has changed: .*-00000\.bin is sent again/);
  assert.match(
    said,
    /the stream of \S+\/data__\S+ has changed since the last run: chunk 3 differs in part \d; sending it again/,
  );
  assert.deepEqual(chunksSent(world, before), ['00000', '00003', '00004', '00005']);
  assert.deepEqual(await unfinished(world), [theirKey]);
});
