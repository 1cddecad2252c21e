/** The policies of config/iam/: with each, its scripts do all of their work, and nothing that another role is for. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import {
  allKeys,
  createWorld,
  errorLines,
  mustSucceed,
  pointerKey,
  readBytes,
  runProcess,
  type World,
  writeObject,
} from '../end-to-end/world.ts';
import { permissionsOf, type Role } from '../support/iam-policy.ts';

const mib = 2 ** 20;
const Bucket = 'backups';
const prefix = 'fleet/host-1';
const advice = 'GetBucketLifecycleConfiguration';
const theirKey = 'fleet/host-2/subvol/data/full/manifest-20260101T020000Z.json';

function become(world: World, role: Role): void {
  world.server.permissions.set(permissionsOf(role, Bucket, prefix));
}

/** Does something with permissions of its own. */
async function unrestricted<Result>(world: World, work: () => Promise<Result>): Promise<Result> {
  const before = world.server.permissions.list();
  world.server.permissions.clear();
  try {
    return await work();
  } finally {
    world.server.permissions.set(before);
  }
}

/**
 * What was refused since a request, by operation and key. A look at a key that was not there is refused too, because who may list
 * only below a prefix does not learn what a bucket lacks; it is left out, as is what list asks for the sake of its advice.
 */
function refusedSince(world: World, since: number, there: readonly string[]): readonly string[] {
  const isAbsence = (operation: string, key: string | undefined) =>
    ['GetObject', 'HeadObject'].includes(operation) && key !== undefined && !there.includes(key);
  // A server that is not AWS is asked whether it knows thaws at all, at a key that is never there; a refusal says nothing, and is put up with.
  const isTrial = (operation: string, key: string | undefined) =>
    operation === 'RestoreObject' && key?.endsWith('/chunk-19700101T000000Z-00000.bin');
  return world.server.requests
    .slice(since)
    .filter(
      ({ status, operation, key }) =>
        status === 403 && !isAbsence(operation, key) && operation !== advice && !isTrial(operation, key),
    )
    .map(({ operation, key }) => `${operation} ${key}`);
}

/** Runs scripts as a role, which is refused nothing that it asks for. */
async function asRole(world: World, role: Role, ...commands: readonly (readonly [string, ...string[]])[]) {
  become(world, role);
  const there = await unrestricted(world, () => allKeys(world));
  const since = world.server.requests.length;
  for (const [script, ...args] of commands) await mustSucceed(world, script, ...args);
  assert.deepEqual(refusedSince(world, since, there), [], role);
}

async function isRefused(world: World, role: Role, says: RegExp, script: string, ...args: string[]) {
  become(world, role);
  const before = await unrestricted(world, () => allKeys(world));
  const result = await world.run(script, ...args);
  assert.equal(result.exitCode, 1, `${role}, ${script}: ${result.stdout}${result.stderr}`);
  assert.match(`${result.stdout}${errorLines(result).join('\n')}`, says);
  assert.deepEqual(await unrestricted(world, () => allKeys(world)), before, `${role}, ${script}`);
}

test('each role does its work, from the first backup to the prune, and is refused nothing on the way', async (t) => {
  const world = await createWorld(
    t,
    { STORAGE_CLASS_CHUNKS: 'GLACIER', KEEP_GENERATIONS: '1', CHUNK_SIZE: '10MiB', RETRY_FOR: '1s' },
    2 * 2 ** 30,
    { thawDelayMs: 3_600_000 },
  );
  await writeObject(world, theirKey, 'theirs');
  await writeFile(join(world.data, 'random'), randomBytes(25 * mib));

  become(world, 'backup');
  // The first backup is cut off, and so has an upload to go on with.
  const since = world.server.requests.length;
  await mustSucceed(world, 'snapshot.ts');
  world.server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: 3 }]);
  assert.equal((await world.run('send-chunk-upload.ts')).exitCode, 1);
  world.server.faults.clear();
  await world.backup();
  assert.ok(world.server.requests.slice(since).some(({ operation }) => operation === 'ListParts'));
  // The second is given up, with its upload, for one of another kind.
  await writeFile(join(world.data, 'more'), randomBytes(12 * mib));
  await mustSucceed(world, 'snapshot.ts');
  world.server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: 1 }]);
  assert.equal((await world.run('send-chunk-upload.ts')).exitCode, 1);
  world.server.faults.clear();
  await world.backup('--kind', 'full');
  await writeFile(join(world.data, 'last'), 'last');
  const { key, manifest } = await world.backup();
  assert.equal(manifest.kind, 'incremental');
  await mustSucceed(world, 'list.ts');
  assert.deepEqual(refusedSince(world, since, [theirKey]), []);
  const { Uploads = [] } = await unrestricted(world, () =>
    world.client.send(new ListMultipartUploadsCommand({ Bucket })),
  );
  assert.deepEqual(Uploads, [], 'what was given up is ended');

  await asRole(world, 'verify', ['list.ts'], ['verify.ts']);
  become(world, 'restore');
  assert.equal((await world.run('thaw.ts', '--subvolume', 'data')).exitCode, 5);
  await world.server.thaws.finish();
  const target = join(world.mount, 'restored');
  await asRole(
    world,
    'restore',
    ['list.ts'],
    ['thaw.ts', '--subvolume', 'data'],
    ['restore.ts', '--subvolume', 'data', '--target', target],
  );
  assert.deepEqual(await treeDigest(target), await treeDigest(manifest.snapshot.path));
  // The older generation is not thawed, which is no refusal.
  become(world, 'verify');
  const sinceDeep = world.server.requests.length;
  assert.equal((await world.run('verify.ts', '--deep')).exitCode, 5);
  assert.deepEqual(
    refusedSince(world, sinceDeep, []).filter((refusal) => !refusal.startsWith('GetObject')),
    [],
  );

  // What is another role's, a role's own credentials do not do.
  const nothing = /access was denied|may not be|AccessDenied/;
  await isRefused(world, 'backup', nothing, 'prune.ts', '--apply');
  await isRefused(world, 'verify', nothing, 'thaw.ts', '--subvolume', 'data', '--days', '300');
  await mustSucceed(world, 'snapshot.ts');
  await isRefused(world, 'restore', nothing, 'send-chunk-upload.ts');
  await isRefused(world, 'verify', nothing, 'send-chunk-upload.ts');
  await isRefused(world, 'prune', nothing, 'restore.ts', '--subvolume', 'data', '--target', `${target}-2`);

  const before = await unrestricted(world, () => allKeys(world));
  await asRole(world, 'prune', ['prune.ts']);
  assert.deepEqual(await unrestricted(world, () => allKeys(world)), before);
  await asRole(world, 'prune', ['prune.ts', '--apply']);
  const after = await unrestricted(world, () => allKeys(world));
  assert.ok(after.length < before.length);
  for (const kept of [
    key,
    manifest.parent_manifest,
    pointerKey,
    theirKey,
    `${prefix}/RESTORE.txt`,
    `${prefix}/recover.sh`,
  ]) {
    assert.ok(after.includes(kept ?? ''), kept ?? '');
  }
});

test('a chunk that has to be stored anew, and may not be, ends its backup; the next one is whole', async (t) => {
  const world = await createWorld(t, { CHUNK_SIZE: '10MiB', CONCURRENCY: '1', RETRY_FOR: '1s' });
  await writeFile(join(world.data, 'random'), randomBytes(25 * mib));
  become(world, 'backup');
  await mustSucceed(world, 'snapshot.ts');
  // The first chunk is whole when it is cut off; in other parts it is another object, under the same key.
  world.server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: 3 }]);
  assert.equal((await world.run('send-chunk-upload.ts')).exitCode, 1);
  world.server.faults.clear();
  const [first = ''] = (await unrestricted(world, () => allKeys(world))).filter((key) =>
    key.endsWith('.bin'),
  );
  const bytes = await unrestricted(world, () => readBytes(world, first));
  const changed = await world.settingsFile({ CHUNK_SIZE: '15MiB' });
  const upload = ['scripts/send-chunk-upload.ts', '--config', changed];
  const refused = await runProcess('scripts/tsx.sh', upload);
  assert.equal(refused.exitCode, 1, refused.stderr);
  const lines = errorLines(refused);
  assert.equal(lines.length, 1, refused.stderr);
  assert.match(
    lines[0] ?? '',
    /this backup is given up: .*chunk-.*-00000\.bin has to be stored again.*may not.*; run make backup/,
  );
  assert.ok((await unrestricted(world, () => readBytes(world, first))).equals(bytes), 'it is as it was');
  const { manifest } = await world.backup();
  assert.notEqual(manifest.chunks[0]?.key, first);
  await unrestricted(world, () => mustSucceed(world, 'verify.ts', '--deep'));

  // Where everything is denied, that is no reason to give up what can resume.
  await writeFile(join(world.data, 'more'), randomBytes(25 * mib));
  await mustSucceed(world, 'snapshot.ts');
  world.server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: 3 }]);
  assert.equal((await world.run('send-chunk-upload.ts')).exitCode, 1);
  world.server.faults.clear();
  const { allowed = [] } = permissionsOf('backup', Bucket, prefix);
  world.server.permissions.set({ allowed, denied: ['s3:PutObject'] });
  const denied = await runProcess('scripts/tsx.sh', upload);
  assert.match(errorLines(denied).join('\n'), /access was denied/);
  become(world, 'backup');
  await mustSucceed(world, 'send-chunk-upload.ts');
  await mustSucceed(world, 'manifest.ts');
});
