/** Pruning a bucket on the embedded server; what is old is so by the clock that the stage is given. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { ToolError } from '../../../lib/core/errors.ts';
import { SubvolumeKeys, snapshotName } from '../../../lib/core/format/names.ts';
import { Journal } from '../../../lib/edge/files/journal.ts';
import { RunDirectory } from '../../../lib/edge/files/run-directory.ts';
import { listUploads } from '../../../lib/edge/s3/multipart-uploads.ts';
import { listKeys } from '../../../lib/edge/s3/objects.ts';
import { openTestBucket } from '../../support/bucket.ts';
import { publish, publishGeneration, put, putChunks } from '../../support/fake-backups.ts';
import { beginUpload, keysIn, startPruning } from '../../support/pruning.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('prune');
const { server, proxy, runDirectory, place, pruneIn } = await startPruning(directory);

test('a plan asks and writes nothing, here or there', async () => {
  const { bucket, prune } = await place('plan');
  for (const at of [1, 5, 9]) await publishGeneration(bucket, { day: at, backups: 2 });
  await putChunks(bucket, { day: 20 });
  await beginUpload(bucket, new SubvolumeKeys('plan', 'data').chunk('full', '20260121T020000Z', 0));
  const before = await keysIn(bucket);
  const requests = server.requests.length;
  const { survey, problem } = await prune(false, 30);
  const made = server.requests.slice(requests).map(({ method, operation }) => `${method} ${operation}`);
  assert.deepEqual([...new Set(made)].sort(), [
    'GET GetBucketVersioning',
    'GET GetObject',
    'GET ListMultipartUploads',
    'GET ListObjectsV2',
  ]);
  const [plan] = survey.plans;
  assert.deepEqual([plan?.removals.length, plan?.orphans.length, problem], [2, 2, undefined]);
  assert.deepEqual(await keysIn(bucket), before);
  await assert.rejects(async () => mkdirSync(join(runDirectory, 'x')), /ENOENT/, 'no RUN_DIR is made');
});

test('what is beyond the rule goes with old orphans; all else is as it was', async () => {
  const { bucket, prune } = await place('apply');
  const keys = new SubvolumeKeys('apply', 'data');
  const old = await publishGeneration(bucket, { day: 1, backups: 3, chunks: 3 });
  for (const at of [5, 9]) await publishGeneration(bucket, { day: at, backups: 2 });
  await publishGeneration(bucket, { subvolume: 'home', day: 1, backups: 2 });
  const index = `${keys.root}full/index-20260101T020000Z.ndjson.zst`;
  await put(bucket, index, 'index');
  const signature = keys.signature('full', '20260101T020000Z');
  await put(bucket, signature, 'signature');
  const strangers = [
    'apply/RESTORE.txt',
    'apply/note.txt',
    'apply/subvol/data/full/chunk-1.bin',
    'apply/subvol/data/full/chunk-20250101T020000Z-0.bin.bak',
    'apply/subvol/data/other/chunk-20250101T020000Z-0.bin',
    'apply-not/subvol/data/full/chunk-20250101T020000Z-0.bin',
    'subvol/data/full/chunk-20250101T020000Z-0.bin',
  ];
  for (const key of strangers) await put(bucket, key, 'x');
  const gone = [
    ...old.flatMap(({ key, manifest }) => [key, ...manifest.chunks.map((chunk) => chunk.key)]),
    index,
    signature,
  ];
  const before = await listKeys(bucket, '');
  await putChunks(bucket, { day: 20 });
  // Of a run that was killed before its manifest.
  await put(bucket, keys.signature('full', '20250101T020000Z'), 'signature');
  for (const key of [keys.chunk('full', '20260121T020000Z', 0), 'apply/x', `${keys.root}x`, 'apply-not/x']) {
    await beginUpload(bucket, key);
  }

  const { outcomes, problem } = await prune(true, 8);
  assert.equal(problem, undefined);
  const manifestBytes = outcomes.get('data')?.bytes ?? 0;
  assert.deepEqual(outcomes.get('data'), {
    manifests: 3,
    objects: 3 * 3 + 2 + 3,
    bytes: manifestBytes,
    uploads: 1,
    refused: [],
  });
  assert.ok(manifestBytes > 11_000, `${manifestBytes} bytes`);
  assert.deepEqual(
    await listKeys(bucket, ''),
    before.filter((key) => !gone.includes(key)),
  );
  assert.deepEqual(
    (await listUploads(bucket, 'apply')).map(({ key }) => key),
    ['apply-not/x', `${keys.root}x`, 'apply/x'].sort(),
  );
  const again = await prune(true, 8);
  assert.deepEqual(again.outcomes.get('data'), {
    manifests: 0,
    objects: 0,
    bytes: 0,
    uploads: 0,
    refused: [],
  });
});

test('orphans wait for 7 days, and go when these are over', async () => {
  const { bucket, prune } = await place('young');
  const keys = new SubvolumeKeys('young', 'data');
  await publish(bucket, { day: 1 });
  const before = await keysIn(bucket);
  const orphans = await putChunks(bucket, { day: 3 });
  await beginUpload(bucket, keys.chunk('full', '20260104T020000Z', 0));
  await prune(true, 6.9);
  assert.equal((await keysIn(bucket)).length, before.length + orphans.length);
  assert.equal((await listUploads(bucket, 'young/')).length, 1);
  await prune(true, 7.1);
  assert.deepEqual([await keysIn(bucket), await listUploads(bucket, 'young/')], [before, []]);
});

test('an unfinished upload of this host stays whatever its age, known by snapshot.json or the journal', async () => {
  const { bucket, prune } = await place('resume');
  const keys = new SubvolumeKeys('resume', 'data');
  const [parent] = await publishGeneration(bucket, { day: 1, backups: 1 });
  assert.ok(parent, 'a full backup');
  for (const at of [5, 9]) await publishGeneration(bucket, { day: at, backups: 1 });
  const timestamp = '20260120T020000Z';
  await putChunks(bucket, { day: 20, parent });
  await beginUpload(bucket, keys.chunk('incremental', timestamp, 2));
  const before = await keysIn(bucket);
  const run = new RunDirectory(runDirectory, 'data');
  await run.create();
  const name = snapshotName('data', timestamp, 'incremental');
  await run.writeSnapshot({
    subvolume: 'data',
    kind: 'incremental',
    created_at: timestamp,
    snapshot: {
      name,
      path: `/snapshots/${name}`,
      uuid: 'u',
      parent_uuid: null,
      received_uuid: null,
      generation: 1,
    },
    parent: { path: '/p', uuid: 'p', generation: 1, manifest_key: parent.key },
    pointer_etag: null,
    started_at: '2026-01-20T02:00:00Z',
  });
  const pruned = await prune(true, 400, 1);
  assert.equal(pruned.problem, undefined);
  const [plan] = pruned.survey.plans;
  assert.deepEqual(
    plan?.generations.map(({ action, reason }) => [action, reason]),
    [
      ['keep', 'an unfinished backup builds on it'],
      ['remove', 'beyond the newest 1'],
      ['keep', 'the last backup is in it'],
    ],
  );
  const middle = before.filter((key) => key.includes('20260105'));
  assert.deepEqual(
    await keysIn(bucket),
    before.filter((key) => !middle.includes(key)),
  );
  assert.equal((await listUploads(bucket, 'resume/')).length, 1);

  await run.clear();
  const journal = await Journal.open(run.journalPath);
  const key = keys.chunk('incremental', timestamp, 2);
  await journal.append({ event: 'chunk-begun', index: 2, key, upload_id: 'u' });
  await journal.close();
  await prune(true, 400, 3);
  assert.equal((await keysIn(bucket)).length, before.length - middle.length);
  assert.equal((await listUploads(bucket, 'resume/')).length, 1);

  await run.clear();
  writeFileSync(join(run.path, 'snapshot.json'), '{}');
  const torn = await prune(true, 400, 1);
  assert.equal(torn.problem?.kind, 'failed');
  assert.match(
    torn.problem?.message ?? '',
    /no generation and no orphan of data is removed: .*snapshot\.json cannot be understood/,
  );
  assert.equal((await keysIn(bucket)).length, before.length - middle.length);

  rmSync(run.path, { recursive: true });
  await prune(true, 400, 3);
  assert.deepEqual(
    [(await keysIn(bucket)).filter((each) => each.includes(timestamp)), await listUploads(bucket, 'resume/')],
    [[], []],
  );
});

test('a broken manifest is left alone and reported; an incremental one holds everything', async () => {
  const { bucket, prune } = await place('broken');
  const generations = [];
  for (const at of [1, 5, 9]) generations.push(await publishGeneration(bucket, { day: at, backups: 2 }));
  const [[full, child] = []] = generations;
  assert.ok(full && child, 'two backups');
  const before = await keysIn(bucket);
  await put(bucket, child.key, '{"version": 1');
  const { problem } = await prune(true);
  assert.equal(problem?.kind, 'damage');
  assert.equal(problem?.isList, true);
  const [about, blocked, ...more] = problem?.message.split('\n') ?? [];
  assert.match(about ?? '', /manifest-20260102T020000Z\.json is kept, .*it is not JSON/);
  assert.match(
    blocked ?? '',
    /^no generation and no orphan of data is removed: it is not known what .* builds on$/,
  );
  assert.deepEqual([more, await keysIn(bucket)], [[], before]);
  assert.match(problem?.hint ?? '', /make verify/);
});

test('in a bucket that keeps versions what is deleted is hidden, and that is noticed', async () => {
  const versioned = await openTestBucket(proxy.endpoint, { S3_BUCKET: 'versioned', S3_PREFIX: 'p' });
  await versioned.client.send(
    new CreateBucketCommand({ Bucket: 'versioned', ObjectLockEnabledForBucket: true }),
  );
  for (const at of [1, 5, 9]) await publishGeneration(versioned, { day: at, backups: 1 });
  const chunk = new SubvolumeKeys('p', 'data').chunk('full', '20260101T020000Z', 0);
  const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000);
  await versioned.client.send(
    new PutObjectRetentionCommand({
      Bucket: 'versioned',
      Key: chunk,
      Retention: { Mode: 'GOVERNANCE', RetainUntilDate: until },
    }),
  );
  server.permissions.set({ denied: [`s3:DeleteObject ${chunk}`] });
  const held = await pruneIn(versioned, true, 0, 2);
  server.permissions.clear();
  assert.equal(held.survey.versioning, 'enabled');
  assert.ok(held.problem instanceof ToolError, 'it is reported');
  assert.match(
    held.problem.message,
    new RegExp(`AccessDenied.*\\(retained until ${until.toISOString()}\\)$`),
  );

  const { outcomes, problem } = await pruneIn(versioned, true, 0, 2);
  assert.deepEqual([outcomes.get('data')?.objects, problem], [1, undefined]);
  assert.deepEqual(
    (await keysIn(versioned)).filter((key) => key.includes('20260101')),
    [],
  );
  const { Versions = [] } = await versioned.client.send(
    new ListObjectVersionsCommand({ Bucket: 'versioned', Prefix: chunk }),
  );
  assert.equal(Versions.length, 1, 'the locked version is still there');
  versioned.close();
});
