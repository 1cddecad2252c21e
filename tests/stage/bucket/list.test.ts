/** The list of backups: what it says of chains that can be read, have to thaw, or cannot be restored. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { restorableText } from '../../../lib/cli/reports/list-report.ts';
import type { Manifest } from '../../../lib/core/format/manifest.ts';
import { writeText } from '../../../lib/edge/s3/documents.ts';
import { requestThaw } from '../../../lib/edge/s3/thaw-requests.ts';
import { type ListedBackup, listBackups } from '../../../lib/stage/bucket/list.ts';
import { keyOfDay, keys, manifestOfDay, prefix } from '../../core/samples.ts';
import { plainWrite, startTestBucket } from '../../support/bucket.ts';
import { putAs } from '../../support/put-as.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('list');
let buckets = 0;

type StorageClass = Parameters<typeof putAs>[2];

/** A bucket with a chain of backups of one chunk each, in these classes; undefined: the chunk is missing. */
async function chainIn(...classes: readonly (StorageClass | undefined)[]) {
  const own = await startTestBucket(
    join(directory, String(buckets++)),
    { S3_PREFIX: prefix },
    { thawDelayMs: 3_600_000 },
  );
  for (const [index, storageClass] of classes.entries()) {
    const day = index + 1;
    const { stream: _, ...sample } = manifestOfDay(day);
    const key = keys.chunk(sample.kind, sample.created_at, 0);
    const manifest: Manifest = {
      ...sample,
      chunks: [{ key, size: 3, sha256: 'a'.repeat(64) }],
      total_bytes: 3,
    };
    if (storageClass) await putAs(own.bucket, key, storageClass);
    await writeText(own.bucket, keyOfDay(day), JSON.stringify(manifest), plainWrite);
  }
  const { context } = stageContext(own.bucket, { S3_PREFIX: prefix });
  return { ...own, list: () => listBackups(context) };
}

const restorable = (backups: readonly ListedBackup[]) =>
  backups.map(({ restorability }) => restorableText(restorability));
const archived = (day: number, archive: 'GLACIER' | 'DEEP_ARCHIVE') => {
  const { kind, created_at } = manifestOfDay(day);
  return { key: keys.chunk(kind, created_at, 0), archive };
};

test('each backup says of its whole chain whether it can be read, and in which class its own chunks lie by now', async () => {
  const { bucket, server, list } = await chainIn('DEEP_ARCHIVE', 'STANDARD', 'GLACIER');
  const backups = await list();
  assert.deepEqual(
    backups.map((backup) => backup.storage_class),
    ['DEEP_ARCHIVE', 'STANDARD', 'GLACIER'],
  );
  assert.deepEqual(restorable(backups), ['thaw first: 1 of 1', 'thaw first: 1 of 2', 'thaw first: 2 of 3']);
  await requestThaw(bucket, archived(1, 'DEEP_ARCHIVE'), { tier: 'Bulk', days: 3 });
  assert.deepEqual(restorable(await list()), ['thawing: 0 of 1', 'thawing: 1 of 2', 'thaw first: 1 of 3']);
  await requestThaw(bucket, archived(3, 'GLACIER'), { tier: 'Standard', days: 1 });
  await server.thaws.finish();
  const [first = '', second, third = ''] = restorable(await list());
  assert.match(first, /^until \d{4}-\d\d-\d\dT00:00:00Z$/);
  assert.equal(first, second);
  assert.equal(third < first, true, 'the copy that goes first decides');
});

test('a backup that cannot be restored says why, and so does each that builds on it', async () => {
  const { list } = await chainIn('STANDARD', undefined, 'STANDARD');
  const missing = `no: chunk ${archived(2, 'GLACIER').key} is missing`;
  assert.deepEqual(restorable(await list()), ['now', missing, missing]);
});

test('a manifest that is damaged, and the backups on it, cannot be restored', async () => {
  const { bucket, list } = await chainIn('STANDARD', 'STANDARD', 'STANDARD');
  await writeText(bucket, keyOfDay(2), 'no JSON', plainWrite);
  const backups = await list();
  assert.deepEqual(
    backups.map(({ problem }) => problem !== undefined),
    [false, true, false],
  );
  const [first, second = '', third] = restorable(backups);
  assert.equal(first, 'now');
  assert.match(second, /^no: /);
  assert.equal(third, `no: its parent ${keyOfDay(2)} is missing or damaged`);
});
