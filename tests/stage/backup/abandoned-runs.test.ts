/** A subvolume that is taken out of SUBVOLUMES, or called otherwise, while its backup is not finished. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { SubvolumeKeys, snapshotName } from '../../../lib/core/format/names.ts';
import { DAY_MS } from '../../../lib/core/units.ts';
import { RunDirectory } from '../../../lib/edge/files/run-directory.ts';
import { warnOfAbandoned } from '../../../lib/stage/backup/abandoned-runs.ts';
import { planPrunes } from '../../../lib/stage/bucket/prune.ts';
import { lookAtHost } from '../../../lib/stage/watch/health/status.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { putChunks } from '../../support/fake-backups.ts';
import { beginUpload } from '../../support/pruning.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('abandoned');
const { bucket } = await startTestBucket(join(directory, 's3'));
const runDirectory = join(directory, 'run');
const timestamp = '20260120T020000Z';
await putChunks(bucket, { day: 20 });
await beginUpload(bucket, new SubvolumeKeys(bucket.prefix, 'data').chunk('full', timestamp, 2));
const name = snapshotName('data', timestamp, 'full');
const run = new RunDirectory(runDirectory, 'data');
await run.writeSnapshot({
  subvolume: 'data',
  kind: 'full',
  created_at: timestamp,
  snapshot: {
    name,
    path: `/my snapshots/${name}`,
    uuid: 'u',
    parent_uuid: null,
    received_uuid: null,
    generation: 1,
  },
  parent: null,
  pointer_etag: null,
  started_at: '2026-01-20T02:00:00Z',
});

/** What a prune a year later makes of it, what a backup warns of, and whether make status says that a run resumes it. */
async function lookWith(settings: Readonly<Record<string, string>>) {
  const { context, warnings } = stageContext(bucket, { ...settings, RUN_DIR: runDirectory });
  const { plans } = await planPrunes({ ...context, now: () => new Date(Date.now() + 365 * DAY_MS) });
  const decisions = plans.flatMap(({ orphans }) => orphans.map(({ action, reason }) => [action, reason]));
  warnings.length = 0;
  await warnOfAbandoned(context);
  const { subvolumes } = await lookAtHost(context);
  const isResumed = subvolumes.find((each) => each.name === 'data')?.unfinished?.isResumed;
  return { decisions, warnings, isResumed };
}

test('as long as SUBVOLUMES names it, or is not set, what it has stored stays', async () => {
  for (const settings of [{ SUBVOLUMES: 'data=/data', SNAPSHOT_DIR: '/snapshots' }, {}]) {
    const { decisions, warnings, isResumed } = await lookWith(settings);
    assert.deepEqual(decisions, [['keep', 'this host will resume it']]);
    assert.deepEqual([warnings, isResumed], [[], true]);
  }
});

test('under another name nothing resumes it: prune removes what it has stored, and each backup says what else is left', async () => {
  const settings = { SUBVOLUMES: 'home=/data', SNAPSHOT_DIR: '/snapshots' };
  const { decisions, warnings, isResumed } = await lookWith(settings);
  assert.deepEqual(decisions, [['remove', 'named by no manifest, older than 7 days']]);
  assert.equal(isResumed, false);
  assert.deepEqual(warnings, [
    `the full backup of data of 2026-01-20T02:00:00Z is not finished, and SUBVOLUMES does not name data any more: name it again, and make backup resumes it; to give it up (make prune removes what it has stored after 7 days), where no other settings file needs its snapshot: btrfs subvolume delete '/my snapshots/${name}'; rm -r ${run.path}`,
  ]);
});
