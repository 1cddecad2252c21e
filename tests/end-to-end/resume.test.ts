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
import { createWorld, namesIn, runProcess, type ScriptResult, type World } from './world.ts';

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
  await succeed(world, 'snapshot.ts');
  await cutOffUpload(world, 5);
  assert.equal((await unfinished(world)).length, 2, 'theirs and ours');
  return world;
}

async function cutOffUpload(world: World, parts: number): Promise<void> {
  world.server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: parts }]);
  assert.equal((await world.run('send-chunk-upload.ts')).exitCode, 1);
  world.server.faults.clear();
}

async function succeed(
  world: World,
  script: string,
  changes: Readonly<Record<string, string>> = {},
): Promise<ScriptResult> {
  const args = [`scripts/${script}`, '--config', await world.settingsFile(changes)];
  const result = await runProcess('scripts/tsx.sh', args);
  assert.equal(result.exitCode, 0, `${script}: ${result.stderr}`);
  return result;
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

/** Uploads and publishes, and restores what was published: it has to be what the snapshot holds. */
async function goOn(world: World, changes: Readonly<Record<string, string>> = {}): Promise<ScriptResult> {
  const uploaded = await succeed(world, 'send-chunk-upload.ts', changes);
  await succeed(world, 'manifest.ts', changes);
  const target = join(world.mount, 'restored');
  const config = await world.settingsFile(changes);
  const args = ['--config', config, '--subvolume', 'data', '--target', target];
  const restored = await runProcess('scripts/tsx.sh', ['scripts/restore.ts', ...args]);
  assert.equal(restored.exitCode, 0, restored.stderr);
  const [snapshot = ''] = await namesIn(world.snapshots);
  assert.deepEqual(await treeDigest(target), await treeDigest(join(world.snapshots, snapshot)));
  return uploaded;
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
    const { stderr } = await goOn(world, changes);
    assert.match(stderr, new RegExp(`data: ${says} changed: the upload begins again`));
    assert.match(stderr, /aborted the unfinished upload of .*-00002\.bin/);
    assert.deepEqual(await unfinished(world), [theirKey]);
  });
}

test('when the bucket changed, the upload goes there, and what stays in the old one is named', async (t) => {
  const world = await cutOff(t);
  await world.client.send(new CreateBucketCommand({ Bucket: 'elsewhere' }));
  const { stderr } = await goOn(world, { S3_BUCKET: 'elsewhere' });
  assert.match(stderr, /data: S3_BUCKET changed: the upload begins again/);
  assert.match(stderr, /unfinished upload of .*-00002\.bin stays in bucket backups/);
  assert.deepEqual(await unfinished(world, 'elsewhere'), []);
});

test('when the server forgot the unfinished upload, its parts are sent again, and the whole chunks are not', async (t) => {
  const world = await cutOff(t);
  const { Uploads = [] } = await world.client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
  for (const { Key, UploadId } of Uploads.filter((upload) => upload.Key !== theirKey)) {
    await world.client.send(new AbortMultipartUploadCommand({ Bucket: 'backups', Key, UploadId }));
  }
  const before = world.server.requests.length;
  const { stderr } = await goOn(world);
  assert.match(stderr, /data: the server no longer knows the upload of .*-00002\.bin/);
  assert.deepEqual(chunksSent(world, before), ['00002', '00003', '00004', '00005']);
});

test('when the journal is gone, the upload begins again, and what it had begun is given up', async (t) => {
  const world = await cutOff(t);
  await rm(join(world.runDirectory, 'data/upload.jsonl'));
  const { stderr } = await succeed(world, 'snapshot.ts');
  assert.match(stderr, /aborted the unfinished upload of .*-00002\.bin/);
  await goOn(world);
  assert.deepEqual(await unfinished(world), [theirKey]);
});

test('when the snapshot is gone, so is its unfinished upload, and a new backup begins', async (t) => {
  const world = await cutOff(t);
  const [snapshot = ''] = await namesIn(world.snapshots);
  await shell`btrfs subvolume delete ${join(world.snapshots, snapshot)}`;
  const { stderr } = await succeed(world, 'snapshot.ts');
  assert.match(stderr, /an unfinished backup is given up: its snapshot .* is gone/);
  assert.match(stderr, /aborted the unfinished upload of .*-00002\.bin/);
  assert.deepEqual(await unfinished(world), [theirKey]);
  await goOn(world);
});

test('a dry run gives nothing up', async (t) => {
  const world = await cutOff(t);
  const [snapshot = ''] = await namesIn(world.snapshots);
  await shell`btrfs subvolume delete ${join(world.snapshots, snapshot)}`;
  const journal = await readFile(join(world.runDirectory, 'data/upload.jsonl'), 'utf8');
  const { exitCode } = await world.run('snapshot.ts', '--dry-run');
  assert.equal(exitCode, 0);
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
  const { stderr } = await goOn(world);
  // The stream begins with the generation at which the snapshot was changed last.
  assert.match(stderr, /the stream has changed: .*-00000\.bin is sent again/);
  assert.match(
    stderr,
    /the stream has changed since the last run: chunk 3 differs in part \d; sending it again/,
  );
  assert.deepEqual(chunksSent(world, before), ['00000', '00003', '00004', '00005']);
  assert.deepEqual(await unfinished(world), [theirKey]);
});
