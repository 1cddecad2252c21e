/** prune.ts: what it prints, with which code it ends, and what is left when it is killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeLock } from '../../lib/edge/files/lock.ts';
import { lockForReading } from '../../lib/edge/files/reading-lock.ts';
import { deleteObjects } from '../../lib/edge/s3/delete-objects.ts';
import { listKeys } from '../../lib/edge/s3/objects.ts';
import type { Bucket } from '../../lib/edge/s3/s3-client.ts';
import { readManifest } from '../../lib/stage/bucket/backups.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { accessKeyId, bucketName, openTestBucket, startTestBucket } from '../support/bucket.ts';
import { publishGeneration, putChunks } from '../support/fake-backups.ts';
import type { Outcome } from '../support/run-program.ts';
import { runScript } from '../support/script-within.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('prune-script');
const { server } = await startTestBucket(join(directory, 's3'));

/** A prefix with three generations of three backups each, the newest of which are all from today by the server's clock. */
async function scene(prefix: string, storageClass: 'STANDARD' | 'GLACIER' = 'STANDARD') {
  const bucket = await openTestBucket(server.endpoint, { S3_PREFIX: prefix });
  after(() => bucket.close());
  const runDirectory = join(directory, prefix, 'run');
  for (const day of [1, 5, 9]) await publishGeneration(bucket, { day, backups: 3, storageClass });
  const config = join(directory, `${prefix}.env`);
  const lines = [
    `S3_BUCKET=${bucketName}`,
    `S3_PREFIX=${prefix}`,
    'AWS_REGION=us-east-1',
    `AWS_ENDPOINT_URL_S3=${server.endpoint}`,
    `AWS_ACCESS_KEY_ID=${accessKeyId}`,
    'AWS_SECRET_ACCESS_KEY=not-a-secret',
    `RUN_DIR=${runDirectory}`,
  ];
  writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 });
  const args = ['--config', config];
  return {
    bucket,
    args,
    runDirectory,
    prune: (...more: readonly string[]) => runScript('prune.ts', [...args, ...more]),
  };
}

const keysIn = (bucket: Bucket) => listKeys(bucket, `${bucket.prefix}/`);

/** Fails unless every manifest that is there has its parent and all of its chunks. */
async function assertAllWhole(bucket: Bucket, when: string): Promise<void> {
  const keys = new Set(await keysIn(bucket));
  for (const key of keys) {
    if (!key.includes('/manifest-')) continue;
    const { chunks, parent_manifest: parent } = await readManifest(bucket, key);
    for (const chunk of chunks) assert.ok(keys.has(chunk.key), `${when}: ${key} has lost ${chunk.key}`);
    assert.ok(parent === null || keys.has(parent), `${when}: ${key} has lost ${parent}`);
  }
}

function errorsOf({ stderr }: Outcome): readonly string[] {
  const records = stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  return records.filter(({ level }) => level === 'error').map(({ msg }) => String(msg));
}

test('a plan is for people or for programs, and APPLY says what was done', async () => {
  const { bucket, prune } = await scene('report', 'GLACIER');
  await putChunks(bucket, { day: 20 });
  const before = await keysIn(bucket);
  const [text, json] = [await prune(), await prune('--json')];
  assert.deepEqual([text.exitCode, text.stderr, json.exitCode, json.stderr], [0, '', 0, '']);
  assert.match(text.stdout, /^SUBVOLUME {2}GENERATION +BACKUPS +OBJECTS +SIZE +ACTION +CHARGED +WHY$/m);
  assert.match(
    text.stdout,
    /^data +2026-01-01T02:00:00Z +3 +9 +[\d.]+ KiB +remove +less than 0\.01 GiB-months \(90 days left\) +beyond the newest 2$/m,
  );
  assert.match(text.stdout, /^data +2026-01-09T02:00:00Z +3 +9 .* keep +the last backup is in it$/m);
  assert.match(
    text.stdout,
    /^data +full\/manifest-20260120T020000Z\.json +2 .* keep +named by no manifest, younger/m,
  );
  assert.match(
    text.stdout,
    /^to remove: 1 generation, 9 objects, 0 unfinished uploads; frees .* charges less than/m,
  );
  assert.match(text.stdout, /\nnothing was changed; APPLY=1 \(--apply\) does it\n$/);
  const document = JSON.parse(json.stdout);
  const [subvolume] = document.subvolumes;
  const [oldest] = subvolume.generations;
  assert.deepEqual(Object.keys(document), [
    'bucket',
    'prefix',
    'retired',
    'keep_generations',
    'orphan_days',
    'versioning',
    'applied',
    'subvolumes',
  ]);
  assert.deepEqual(Object.keys(subvolume), [
    'name',
    'blocked',
    'generations',
    'broken',
    'orphans',
    'removed',
  ]);
  assert.ok(oldest.charged_gib_months > 0 && oldest.charged_gib_months < 0.01, 'a little');
  assert.deepEqual(
    { ...oldest, bytes: oldest.bytes > 6000, charged_gib_months: 0 },
    {
      created_at: '20260101T020000Z',
      manifest_key: 'report/subvol/data/full/manifest-20260101T020000Z.json',
      backups: 3,
      objects: 9,
      bytes: true,
      action: 'remove',
      reason: 'beyond the newest 2',
      charged_days: 90,
      charged_gib_months: 0,
    },
  );
  assert.deepEqual([document.applied, subvolume.removed, await keysIn(bucket)], [false, null, before]);

  const applied = await prune('--apply', '--json');
  assert.equal(applied.exitCode, 0, applied.stderr);
  const { removed } = JSON.parse(applied.stdout).subvolumes[0];
  assert.deepEqual([removed.manifests, removed.objects, removed.refused], [3, 6, []]);
  assert.equal(removed.bytes, oldest.bytes);
  assert.deepEqual(
    await keysIn(bucket),
    before.filter((key) => !/2026010[123]T/.test(key)),
  );
  const again = await prune('--apply');
  assert.deepEqual([again.exitCode, again.stderr], [0, '']);
  assert.match(again.stdout, /^removed: 0 manifests, 0 other objects, 0 unfinished uploads; 0 B$/m);
});

test('a name that is not there is a mistake, and an empty prefix is not', async () => {
  const { prune } = await scene('names');
  const wrong = await prune('--subvolume', 'dta', '--apply');
  assert.equal(wrong.exitCode, 2);
  assert.match(errorsOf(wrong)[0] ?? '', /there is nothing of subvolume "dta" .*; there are: data;/);
  const empty = await prune('--set', 'S3_PREFIX=nothing-here', '--apply');
  assert.deepEqual(
    [empty.exitCode, empty.stdout],
    [0, 'nothing to prune in test-bucket under nothing-here/\n'],
  );
  for (const keep of ['0', '-1', 'x']) {
    assert.equal((await prune('--apply', '--set', `KEEP_GENERATIONS=${keep}`)).exitCode, 2, keep);
  }
});

test('while a backup holds the lock nothing is pruned, but a plan is made', async () => {
  const { bucket, prune, runDirectory } = await scene('lock');
  const before = await keysIn(bucket);
  const lock = await takeLock(runDirectory);
  const requests = server.requests.length;
  const refused = await prune('--apply');
  assert.deepEqual([refused.exitCode, refused.stdout], [3, '']);
  assert.match(errorsOf(refused)[0] ?? '', /another run holds the lock/);
  assert.equal(server.requests.length, requests, 'the bucket was asked nothing');
  assert.equal((await prune()).exitCode, 0);
  await lock.release();
  assert.deepEqual(await keysIn(bucket), before);
  assert.equal((await prune('--apply')).exitCode, 0);
});

test('while something is restored here nothing is pruned, but a plan is made', async () => {
  const { bucket, prune, runDirectory } = await scene('reading');
  assert.equal((await prune('--apply', '--set', 'KEEP_GENERATIONS=3')).exitCode, 0);
  const before = await keysIn(bucket);
  const restores = [await lockForReading(runDirectory), await lockForReading(runDirectory)];
  for (const restore of restores) {
    const refused = await prune('--apply');
    assert.equal(refused.exitCode, 3, refused.stderr);
    assert.match(errorsOf(refused)[0] ?? '', /^a restore, drill or extract runs, which may need/);
    assert.equal((await prune()).exitCode, 0);
    assert.deepEqual(await keysIn(bucket), before);
    await restore?.release();
  }
  assert.equal((await prune('--apply')).exitCode, 0);
  assert.ok((await keysIn(bucket)).length < before.length);
});

test('refusals are a line each and exit 1; damage is exit 4', async () => {
  const { bucket, prune } = await scene('refusals');
  server.permissions.set({ denied: ['s3:DeleteObject refusals/*chunk-20260101*'] });
  const denied = await prune('--apply');
  server.permissions.clear();
  assert.equal(denied.exitCode, 1);
  const lines = errorsOf(denied);
  assert.equal(lines.length, 2, denied.stderr);
  for (const line of lines)
    assert.match(line, /^cannot delete refusals\/.*chunk-20260101T020000Z-0000[01]\.bin: AccessDenied/);
  assert.match(denied.stdout, /^removed: 3 manifests, 4 other objects/m);
  assert.equal((await prune('--apply')).exitCode, 0);
  assert.deepEqual(
    (await keysIn(bucket)).filter((key) => key.includes('20260101')),
    [],
  );
  await publishGeneration(bucket, { day: 20, backups: 1 });
  const [lost = ''] = (await keysIn(bucket)).filter((key) => key.includes('chunk-20260106'));
  assert.deepEqual(await deleteObjects(bucket, [lost]), []);
  const damaged = await prune('--apply');
  assert.equal(damaged.exitCode, 4, damaged.stdout);
  assert.match(
    errorsOf(damaged)[0] ?? '',
    /manifest-20260106T020000Z.* is kept, .*chunk-20260106T020000Z-00000\.bin is missing/,
  );
});

/** Kills a prune when it sends its n-th request that deletes; false when it ended before. */
async function killAt(request: number, args: readonly string[]): Promise<boolean> {
  const operation = ['DeleteObjects', 'AbortMultipartUpload'] as const;
  // A body of which the server never sees the end: nothing is deleted behind the test's back.
  server.faults.set([{ fault: 'slow', bytesPerSecond: 1, operation, skip: request, next: 1 }]);
  const all = ['scripts/prune.ts', ...args, '--apply'];
  const child = spawn('scripts/tsx.sh', all, { cwd: repositoryRoot, stdio: ['ignore', 'pipe', 'ignore'] });
  const said = text(child.stdout);
  const exited = once(child, 'exit');
  const isSlow = () => server.faults.list().some(({ fired }) => fired > 0);
  while (child.exitCode === null && !isSlow()) await sleep(10);
  const killed = isSlow();
  child.kill('SIGKILL');
  await exited;
  server.faults.clear();
  if (killed) assert.match(await said, /^to remove: /m, 'the plan is shown before anything is deleted');
  return killed;
}

test('killed before any of its deletions, all manifests are whole, and the next prune ends what it began', async () => {
  let kills = 0;
  for (let request = 0; ; request++) {
    const { bucket, args, prune } = await scene(`kill-${request}`);
    const before = await keysIn(bucket);
    if (!(await killAt(request, args))) break;
    kills++;
    const when = `killed before deletion ${request}`;
    await assertAllWhole(bucket, when);
    const next = await prune('--apply');
    assert.equal(next.exitCode, 0, `${when}: ${next.stderr}`);
    const left = await keysIn(bucket);
    assert.deepEqual(
      left,
      before.filter((key) => !/2026010[123]T/.test(key)),
      when,
    );
  }
  assert.equal(kills, 4, 'three depths of manifests, and the chunks');
});

test('RETIRE shows what goes and what is still charged, and with APPLY=1 nothing of the subvolume is left', async () => {
  const { bucket, prune } = await scene('retire', 'GLACIER');
  const plan = await prune('--retire', 'data');
  assert.equal(plan.exitCode, 0, plan.stderr);
  assert.match(
    plan.stdout,
    /^data +\S+ +3 +9 +\S+ KiB +remove +less than 0\.01 GiB-months \(90 days left\) +retired$/m,
  );
  assert.match(plan.stdout, /^to remove: 3 generations, 27 objects, .*\nnothing was changed; APPLY=1/m);
  const applied = await prune('--retire', 'data', '--apply', '--json');
  assert.equal(applied.exitCode, 0, applied.stderr);
  const { retired, subvolumes } = JSON.parse(applied.stdout);
  assert.deepEqual([retired, subvolumes[0].removed.manifests], ['data', 9]);
  assert.deepEqual(await keysIn(bucket), []);
  for (const [args, says] of [
    [['--retire', 'data'], /there is nothing of subvolume "data"/],
    [['--retire', ''], /RETIRE= names no subvolume/],
    [['--retire', 'data', '--subvolume', 'data'], /SUBVOLUME and RETIRE both choose a subvolume/],
  ] as const) {
    const refused = await prune(...args);
    assert.equal(refused.exitCode, 2, refused.stderr);
    assert.match(errorsOf(refused)[0] ?? '', says);
  }
});

test('RETIRE is no prune of the rest, which stays due', async () => {
  const { bucket, prune } = await scene('retired-first');
  await publishGeneration(bucket, { subvolume: 'old', day: 1, backups: 1 });
  const retired = await prune('--retire', 'old', '--apply');
  assert.equal(retired.exitCode, 0, retired.stderr);
  const due = ['--if-due', '--apply', '--set', 'PRUNE_EVERY=7d'];
  assert.match((await prune(...due)).stdout, /^removed: 3 manifests/m);
  assert.match((await prune(...due)).stdout, /^next prune due /);
});
