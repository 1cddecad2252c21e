/** The list for S3 Batch Operations: chains that can be restored, whole, and a word on each that is not in it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { describeError, type ToolError, worstExitCode } from '../../../lib/core/errors.ts';
import type { Bucket } from '../../../lib/edge/s3/s3-client.ts';
import { exportThaw } from '../../../lib/stage/restore/export-thaw.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { publish, publishGeneration, put } from '../../support/fake-backups.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory, tinyFilesystem } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('export-thaw');
const { bucket } = await startTestBucket(join(directory, 's3'));
const storageClass = 'DEEP_ARCHIVE';

const under = (prefix: string): Bucket => ({ ...bucket, prefix });

async function exportOf(prefix: string, at?: string) {
  const path = join(directory, `${prefix}.csv`);
  const { context } = stageContext(under(prefix));
  const outcome = await exportThaw(context, { path, subvolume: undefined, at });
  return { outcome, keys: (await readFile(path, 'utf8')).trimEnd().split('\n') };
}

for (const [what, spoil] of [
  [
    'a chunk is missing',
    (key: string) => bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key })),
  ],
  ['a chunk has another size', (key: string) => put(bucket, key, 'short', storageClass)],
] as const) {
  test(`nothing of a chain is thawed of which ${what}; the other hosts are`, async () => {
    const prefix = what.replaceAll(' ', '-');
    const [full] = await publishGeneration(under(`${prefix}/a`), { day: 1, backups: 3, storageClass });
    const sound = await publish(under(`${prefix}/b`), { day: 1, storageClass });
    const lost = full?.manifest.chunks[1]?.key ?? '';
    await spoil(lost);
    const { outcome, keys } = await exportOf(prefix);
    const theirs = sound.manifest.chunks.map(({ key }) => `${bucket.name},${key}`);
    assert.deepEqual(keys, theirs);
    assert.deepEqual([outcome.chains, outcome.objects], [1, 2]);
    assert.equal(outcome.failures.length, 1);
    assert.match(outcome.failures[0]?.message ?? '', new RegExp(`^chunk ${lost} (is missing|has 5 bytes)`));
    assert.equal(worstExitCode(outcome.failures), 4);
  });
}

test('a host without a backup at that time is reported, and the list of the others is written', async () => {
  await publish(under('young/a'), { day: 1, storageClass });
  await publish(under('young/b'), { day: 9, storageClass });
  const { outcome, keys } = await exportOf('young', '2026-01-05');
  assert.equal(keys.length, 2);
  assert.match(
    outcome.failures[0]?.message ?? '',
    /no backup of subvolume "data" is as old as AT=2026-01-05; the oldest is AT=2026-01-09/,
  );
  assert.equal(worstExitCode(outcome.failures), 1);
});

test('a time that is none is refused, and no list is written', async () => {
  await publish(under('odd/a'), { day: 1, storageClass });
  await assert.rejects(exportOf('odd', 'yesterday'), (error: ToolError) => {
    assert.equal(error.message, 'AT="yesterday" is not a time');
    return error.kind === 'usage';
  });
  assert.ok(!existsSync(join(directory, 'odd.csv')), 'no list');
});

test('a full disk under the list is reported as such, and RUN_DIR has nothing to do with it', async () => {
  await publish(under('full/a'), { day: 1, storageClass });
  const tiny = tinyFilesystem('export', 4096, 1);
  const { context } = stageContext(under('full'));
  const error = await exportThaw(context, {
    path: join(tiny, 'list.csv'),
    subvolume: undefined,
    at: undefined,
  }).catch((reason: unknown) => reason);
  assert.match(
    describeError(error),
    /^cannot write \S+list\.csv: the disk is full; make room there, or name another EXPORT file$/,
  );
});
