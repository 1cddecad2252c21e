import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { exitCodeOf } from '../../lib/core/errors.ts';
import { seal } from '../../lib/edge/files/checked-json.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { refusal } from './small-world.ts';
import { hostIn } from './within-process.ts';
import {
  allKeys,
  createWorld,
  mustSucceed,
  namesIn,
  pointerKey,
  readObject,
  type World,
  writeObject,
} from './world.ts';

const mib = 2 ** 20;

test('an interrupted run resumes: the same snapshot, and no part is sent twice', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(40 * mib));
  await mustSucceed(world, 'snapshot.ts');
  const [snapshot] = await namesIn(world.snapshots);
  await mustSucceed(world, 'send-chunk-upload.ts');

  // As if the process had died in the middle: the journal ends in a torn line, and chunks.json was never written.
  const run = join(world.runDirectory, 'data');
  const journal = await readFile(join(run, 'upload.jsonl'), 'utf8');
  const lines = journal.split('\n');
  const completions = lines.flatMap((line, at) => (line.includes('"chunk-completed"') ? [at] : []));
  const kept = lines.slice(0, 1 + (completions[1] ?? assert.fail(`fewer than two chunks: ${journal}`)));
  await writeFile(join(run, 'upload.jsonl'), `${kept.join('\n')}\n${lines[kept.length]?.slice(0, 20)}`);
  await rm(join(run, 'chunks.json'));
  const completed = new Set(completions.slice(0, 2).map((at) => JSON.parse(lines[at] ?? '').index));
  // And as if it had begun an upload in its last moment, before it could write that down.
  const Key = JSON.parse(lines[completions[1] ?? 0] ?? '').key;
  await world.client.send(new CreateMultipartUploadCommand({ Bucket: 'backups', Key }));

  const before = world.server.requests.length;
  const { manifest } = await world.backup();
  assert.equal(manifest.snapshot.name, snapshot, 'the snapshot was not taken anew');
  const received = bytesReceived(world, before);
  const reused = manifest.chunks.reduce((sum, { size }, index) => sum + (completed.has(index) ? size : 0), 0);
  assert.ok(received <= manifest.total_bytes - reused + mib, `${received} bytes were sent again`);
  const { Uploads = [] } = await world.client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
  assert.deepEqual(Uploads, [], 'no upload is left unfinished');
  assert.equal((await world.run('verify.ts', '--deep')).exitCode, 0);
});

test('SIGKILL in the middle of an upload publishes nothing, and the next run goes on', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'first'), 'first');
  const { key } = await world.backup();
  const pointer = await readObject(world, pointerKey);
  await writeFile(join(world.data, 'random'), randomBytes(120 * mib));
  await mustSucceed(world, 'snapshot.ts');

  const before = world.server.requests.length;
  const config = await world.settingsFile();
  const args = ['scripts/send-chunk-upload.ts', '--config', config];
  const child = spawn('scripts/tsx.sh', args, { cwd: repositoryRoot, stdio: 'ignore' });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  while (bytesReceived(world, before) < 40 * mib && child.exitCode === null) await sleep(5);
  assert.equal(child.exitCode, null, 'the upload still runs');
  child.kill('SIGKILL');
  await exited;
  assert.equal(await readObject(world, pointerKey), pointer, 'the last published backup is still the last');
  const { exitCode } = await world.run(
    'restore.ts',
    '--subvolume',
    'data',
    '--target',
    join(world.mount, 'restored'),
  );
  assert.equal(exitCode, 0);

  const next = await mustSucceed(world, 'backup.ts', '--json');
  assert.match(next.stderr, new RegExp(`the previous run \\(process ${child.pid}, since .* was killed`));
  const [done] = JSON.parse(next.stdout).subvolumes;
  const manifest = JSON.parse(await readObject(world, done.manifest_key));
  assert.equal(manifest.parent_manifest, key);
  const sent = bytesReceived(world, before);
  // What was in flight when the process died is sent again: at most CONCURRENCY + 1 parts.
  assert.ok(
    sent <= manifest.total_bytes + 5 * 5 * mib + mib,
    `${sent} bytes for a stream of ${manifest.total_bytes}`,
  );
  assert.equal((await world.run('verify.ts', '--deep')).exitCode, 0);
});

test('an unfinished upload that other settings make useless is given up in the bucket', async (t) => {
  const world = await createWorld(t, { CHUNK_SIZE: '1GiB' });
  await writeFile(join(world.data, 'random'), randomBytes(20 * mib));
  const host = await hostIn(world);
  await host.plan();
  const { UploadId = '' } = await world.client.send(
    new CreateMultipartUploadCommand({ Bucket: 'backups', Key: 'half', ChecksumAlgorithm: 'SHA256' }),
  );
  const identity = { snapshot_uuid: 'x', parent_uuid: null, prefix: 'x', storage_class: 'x', sse: 'x' };
  const begun = {
    server: world.server.endpoint,
    bucket: 'backups',
    chunk_size: 1,
    part_size: 1,
    ...identity,
  };
  const events = [
    { event: 'upload-begun', ...begun },
    { event: 'chunk-begun', index: 0, key: 'half', upload_id: UploadId },
  ];
  const journal = events.map((event) => `${JSON.stringify(seal(event))}\n`).join('');
  await writeFile(join(world.runDirectory, 'data', 'upload.jsonl'), journal);
  await host.upload();
  const { Uploads = [] } = await world.client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
  assert.deepEqual(Uploads, []);
});

test('the top directory keeps its modification time, though btrfs send moves entries through it', async (t) => {
  const world = await createWorld(t);
  const touch = ['-m', '--date=@1000000000.123456789', world.data];
  await mkdir(join(world.data, 'inner'));
  await shell`touch ${touch}`;
  await world.backup();
  await writeFile(join(world.data, 'inner/new'), 'new');
  const { key, manifest } = await world.backup();
  assert.deepEqual([manifest.kind, manifest.snapshot.mtime], ['incremental', '1000000000.123456789']);
  const restore = async (name: string) => {
    const target = join(world.mount, name);
    const { exitCode, stdout } = await world.run('restore.ts', '--subvolume', 'data', '--target', target);
    assert.equal(exitCode, 0);
    return { stdout, mtime: (await stat(target, { bigint: true })).mtimeNs };
  };
  assert.equal((await restore('restored')).mtime, 1_000_000_000_123_456_789n);

  const { mtime: _, ...snapshot } = manifest.snapshot;
  await writeObject(world, key, JSON.stringify({ ...manifest, snapshot }));
  const without = await restore('restored-without');
  assert.notEqual(without.mtime, 1_000_000_000_123_456_789n, 'the stream alone does not keep it');
  assert.match(without.stdout, /are equal, except for the modification time of the top directory/);
});

test('a pointer that another writer moved is not overwritten, and the next backup plans on theirs', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  const host = await hostIn(world);
  const first = await host.backUp();
  await writeFile(join(world.data, 'file'), '2');
  await host.plan();
  await host.upload();
  const theirs = `${JSON.stringify({ manifest_key: first.key, kind: 'full', created_at: first.manifest.created_at })} `;
  await writeObject(world, pointerKey, theirs);

  const refused = await refusal(host.publish());
  assert.equal(exitCodeOf(refused), 1);
  assert.match(refused.message, /another writer was first/);
  assert.equal(await readObject(world, pointerKey), theirs);

  // A manifest of this second is there.
  await sleep(1000);
  const { manifest } = await host.backUp();
  assert.equal(manifest.parent_manifest, first.key);
  assert.equal(JSON.parse(await readObject(world, pointerKey)).created_at, manifest.created_at);
});

test('losing RUN_DIR does not force a full backup; losing the parent snapshot does, and the plan says so', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  const host = await hostIn(world);
  const { manifest } = await host.backUp();
  await rm(world.runDirectory, { recursive: true });
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'incremental');
  assert.equal(second.manifest.snapshot.parent_uuid, manifest.snapshot.uuid);

  await shell`btrfs subvolume delete ${join(world.snapshots, second.manifest.snapshot.name)}`;
  const planned = await host.plan('auto', false, true);
  assert.match(planned.reason, /^parent snapshot data__\w+__inc is gone/);
  assert.equal((await host.backUp()).manifest.kind, 'full');
});

test('a dry run changes nothing: no snapshot, no run file, no write to the bucket', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  await world.backup();
  // All of RUN_DIR with its content, the record of the last runs too.
  const state = async () => ({
    snapshots: await namesIn(world.snapshots),
    run: await treeDigest(world.runDirectory),
  });
  const before = await state();
  const requests = world.server.requests.length;
  const made = await shell({
    cwd: repositoryRoot,
  })`make backup DRY_RUN=1 CONFIG=${await world.settingsFile()}`;
  assert.match(
    made.stdout,
    /data: incremental: on the full of [\dT:-]+Z\n(?: {2}.*\n)+memory: up to .*\ndry run: /,
  );
  assert.deepEqual(await state(), before);
  const methods = new Set(world.server.requests.slice(requests).map((request) => request.method));
  assert.deepEqual([...methods], ['GET']);
});

test('one subvolume that fails does not keep the others from their backup', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  const config = await world.settingsFile({ SUBVOLUMES: `gone=${world.mount}/gone,${world.data}` });
  const made = await shell({ cwd: repositoryRoot, nothrow: true })`make backup CONFIG=${config}`;
  assert.match(made.stderr, /Error 1\b/);
  assert.match(made.stderr, /gone: cannot use .*does not exist/);
  assert.match(made.stdout, /data +full .*manifest-/);
  assert.ok((await allKeys(world)).includes(pointerKey), 'data is published');
});

test('what btrfs send cannot finish is not published', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(20 * mib));
  const host = await hostIn(world);
  await host.plan();
  const [snapshot = ''] = await namesIn(world.snapshots);
  // A snapshot that was made writable is refused by btrfs send.
  await shell`btrfs property set -t subvol ${join(world.snapshots, snapshot)} ro false`;
  const failed = await refusal(host.upload());
  assert.equal(exitCodeOf(failed), 1);
  assert.match(failed.message, /btrfs send of .* failed with exit code 1/);
  assert.equal(exitCodeOf(await refusal(host.publish())), 1);
  assert.deepEqual(await allKeys(world), ['fleet/host-1/RESTORE.txt']);
});

/** Bytes of bodies that the server received since a number of requests. */
function bytesReceived(world: World, since: number): number {
  return world.server.requests.slice(since).reduce((sum, request) => sum + request.bytesReceived, 0);
}
