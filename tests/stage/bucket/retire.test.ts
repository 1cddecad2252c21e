/** Retiring a subvolume: what goes, in which order, and what is refused. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { exitCodeOf } from '../../../lib/core/errors.ts';
import { SubvolumeKeys } from '../../../lib/core/format/names.ts';
import { DAY_MS } from '../../../lib/core/units.ts';
import { listUploads } from '../../../lib/edge/s3/multipart-uploads.ts';
import type { Bucket } from '../../../lib/edge/s3/s3-client.ts';
import { applyRetirement, planRetirement } from '../../../lib/stage/bucket/retire.ts';
import { refusal } from '../../end-to-end/small-world.ts';
import { publish, publishGeneration, put, putChunks } from '../../support/fake-backups.ts';
import { beginUpload, keysIn, startPruning } from '../../support/pruning.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('retire');
const { server, place } = await startPruning(directory);

/** A host that retires, so many days from now. */
function host(bucket: Bucket, days = 30, settings: Readonly<Record<string, string>> = {}) {
  const { context, warnings } = stageContext(bucket, { RUN_DIR: join(directory, 'run'), ...settings });
  return { context: { ...context, now: () => new Date(Date.now() + days * DAY_MS) }, warnings };
}

/** Two generations, the last of which has lost a chunk, and all that dead runs leave; beside it another subvolume. */
async function scene(prefix: string) {
  const { bucket } = await place(prefix);
  const keys = new SubvolumeKeys(prefix, 'data');
  const first = await publishGeneration(bucket, { day: 1, backups: 3, storageClass: 'DEEP_ARCHIVE' });
  await publishGeneration(bucket, { day: 5, backups: 2 });
  await publish(bucket, { day: 9 });
  const lost = keys.chunk('full', '20260109T020000Z', 0);
  await bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: lost }));
  await putChunks(bucket, { day: 20 });
  await put(bucket, keys.manifest('full', '20260121T020000Z'), 'no manifest');
  await put(bucket, `${keys.root}full/index-20260101T020000Z.ndjson.zst`, 'index');
  await beginUpload(bucket, keys.chunk('full', '20260122T020000Z', 0));
  const stays = [`${keys.root}note.txt`, `${prefix}/RESTORE.txt`];
  for (const key of stays) await put(bucket, key, 'x');
  await publishGeneration(bucket, { subvolume: 'home', day: 1, backups: 2 });
  return { bucket, keys, first, stays };
}

test('a plan shows all that goes and what is still charged for it, and changes nothing', async () => {
  const { bucket, first } = await scene('plan');
  const before = await keysIn(bucket);
  const { context, warnings } = host(bucket);
  const { plans } = await planRetirement(context, 'data');
  const [plan] = plans;
  assert.ok(plan && plans.length === 1);
  assert.deepEqual(
    plan.generations.map(({ backups, action, reason }) => [backups, action, reason]),
    [
      [3, 'remove', 'retired'],
      [2, 'remove', 'retired'],
    ],
  );
  assert.equal(plan.generations[0]?.key, first[0]?.key);
  assert.equal(plan.generations[0]?.charge?.daysLeft, 150);
  assert.deepEqual(
    plan.orphans.map(({ manifestKey, objects, uploads, action }) => [
      manifestKey.slice(-21),
      objects.length,
      uploads.length,
      action,
    ]),
    [
      ['20260109T020000Z.json', 2, 0, 'remove'],
      ['20260120T020000Z.json', 2, 0, 'remove'],
      ['20260121T020000Z.json', 1, 0, 'remove'],
      ['20260122T020000Z.json', 0, 1, 'remove'],
    ],
  );
  assert.deepEqual(warnings, []);
  assert.deepEqual(await keysIn(bucket), before);
});

test('all of it goes, the pointer first; other subvolumes and what is not ours stay', async () => {
  const { bucket, keys, stays } = await scene('apply');
  const others = (await keysIn(bucket)).filter((key) => key.includes('/home/'));
  const { context } = host(bucket);
  const [plan] = (await planRetirement(context, 'data')).plans;
  assert.ok(plan);
  const from = server.requests.length;
  const outcome = await applyRetirement(context, plan);
  assert.deepEqual(outcome.refused, []);
  assert.deepEqual(await keysIn(bucket), [...stays, ...others].sort());
  assert.deepEqual(await listUploads(bucket, keys.root), []);
  const deletions = server.requests.slice(from).filter(({ operation }) => operation === 'DeleteObjects');
  assert.equal(deletions.length, 6, 'the pointer, three depths of manifests, their chunks, and the rest');
});

test('where the pointer may not be deleted nothing is, and killed at any point the next time ends it', async () => {
  const { bucket, keys } = await scene('refused');
  const before = await keysIn(bucket);
  const { context } = host(bucket);
  const [plan] = (await planRetirement(context, 'data')).plans;
  assert.ok(plan);
  server.permissions.set({ denied: [`s3:DeleteObject ${keys.current}`] });
  const { refused } = await applyRetirement(context, plan);
  server.permissions.clear();
  assert.deepEqual(
    refused.map(({ key }) => key),
    [keys.current],
  );
  assert.deepEqual(await keysIn(bucket), before);

  for (const skip of [1, 2, 1]) {
    server.faults.set([
      { fault: 'error', code: 'ExpiredToken', operation: ['DeleteObjects'], skip, next: 1 },
    ]);
    const [cut] = (await planRetirement(context, 'data')).plans;
    assert.ok(cut);
    await refusal(applyRetirement(context, cut));
    server.faults.clear();
  }
  const [rest] = (await planRetirement(context, 'data')).plans;
  assert.ok(rest);
  assert.deepEqual((await applyRetirement(context, rest)).refused, []);
  assert.deepEqual(
    (await keysIn(bucket)).filter((key) => key.startsWith(keys.root)),
    [`${keys.root}note.txt`],
  );
});

test('a subvolume that is still backed up is not retired', async () => {
  const { bucket } = await scene('in-use');
  const listed = await refusal(planRetirement(host(bucket, 30, { SUBVOLUMES: '/data' }).context, 'data'));
  assert.match(listed.message, /^"data" is in SUBVOLUMES, and would be backed up anew$/);
  assert.equal(exitCodeOf(listed), 2);
  const unknown = await refusal(planRetirement(host(bucket).context, 'dta'));
  assert.match(unknown.message, /^there is nothing of subvolume "dta" in bucket/);
  assert.match(unknown.hint ?? '', /there are: data, home/);

  const { context, warnings } = host(bucket, 0, { SUBVOLUMES: '/home' });
  const old = { ...context, now: () => new Date('2026-01-10T00:00:00Z') };
  const [plan] = (await planRetirement(old, 'data')).plans;
  assert.ok(plan);
  assert.match(
    warnings.join('\n'),
    /^the last backup of data is of 2026-01-21T02:00:00Z: see that no other settings file/,
  );
  await publish(bucket, { day: 25 });
  const before = await keysIn(bucket);
  const meanwhile = await refusal(applyRetirement(context, plan));
  assert.match(meanwhile.message, /^data was backed up since this was planned: nothing is removed$/);
  assert.deepEqual(await keysIn(bucket), before);
});

test('local snapshots are named by what SNAPSHOT_DIR lists; one that cannot be read keeps nothing from being retired', async () => {
  const { bucket } = await place('local');
  await publish(bucket, { day: 1 });
  const snapshots = join(directory, 'snapshots');
  mkdirSync(join(snapshots, 'data__20260101T020000Z__full'), { recursive: true });
  const named = host(bucket, 30, { SNAPSHOT_DIR: snapshots });
  await planRetirement(named.context, 'data');
  assert.deepEqual(named.warnings, [
    `local snapshots of data stay; to delete them: btrfs subvolume delete ${snapshots}/data__*`,
  ]);
  const file = join(directory, 'no-directory');
  writeFileSync(file, '');
  const blind = host(bucket, 30, { SNAPSHOT_DIR: file });
  const { plans } = await planRetirement(blind.context, 'data');
  assert.deepEqual([plans.length, blind.warnings], [1, []]);
});
