/** What METRICS_FILE says of subvolumes that the bucket knows, and this host no longer backs up. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeMetrics } from '../../../lib/cli/watch/write-metrics.ts';
import { WatchFiles } from '../../../lib/edge/files/watch-files.ts';
import { updateHealth } from '../../../lib/stage/watch/health/update-health.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { publish } from '../../support/fake-backups.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('health');
const { bucket } = await startTestBucket(join(directory, 's3'));
for (const subvolume of ['data', 'dropped']) await publish(bucket, { subvolume, day: 1 });

/** Subvolumes of which the metrics have a value. */
async function subvolumesIn(metric: string, settings: Readonly<Record<string, string>>) {
  const METRICS_FILE = join(directory, 'metrics.prom');
  const { context } = stageContext(bucket, { ...settings, METRICS_FILE, RUN_DIR: join(directory, 'run') });
  const files = new WatchFiles(context.settings.RUN_DIR);
  await updateHealth(context, files);
  await writeMetrics(files, { ...context.settings, S3_PREFIX: bucket.prefix }, 'host');
  const pattern = new RegExp(`^btrfs_to_s3_${metric}\\{.*subvolume="(\\w+)"`, 'gm');
  return [...readFileSync(METRICS_FILE, 'utf8').matchAll(pattern)].map(([, name]) => name);
}

test('no backup is due of a subvolume that SUBVOLUMES no longer names; all else is said of it', async () => {
  const settings = { SUBVOLUMES: 'data=/data', SNAPSHOT_DIR: '/snapshots' };
  assert.deepEqual(await subvolumesIn('backup_due_timestamp_seconds', settings), ['data']);
  assert.deepEqual(await subvolumesIn('chain_restorable', settings), ['data', 'dropped']);
});

test('a host that backs nothing up itself watches all', async () => {
  assert.deepEqual(await subvolumesIn('backup_due_timestamp_seconds', {}), ['data', 'dropped']);
});
