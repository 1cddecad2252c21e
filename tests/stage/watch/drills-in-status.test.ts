/** What make status says of drills: each that is wrong once, by its record in the bucket or, where it has none, by its run. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import type { DrillRecord } from '../../../lib/core/format/drill-record.ts';
import { drillKey, formatTimestamp } from '../../../lib/core/format/names.ts';
import { TOOL } from '../../../lib/core/format/tool.ts';
import { WatchFiles } from '../../../lib/edge/files/watch-files.ts';
import { deleteObjects } from '../../../lib/edge/s3/delete-objects.ts';
import { type DrillResult, isLeftOpen } from '../../../lib/stage/watch/drill/drills.ts';
import { lookAtHost } from '../../../lib/stage/watch/health/status.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { publish, put } from '../../support/fake-backups.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('drills-in-status');
const { bucket } = await startTestBucket(join(directory, 's3'));
const RUN_DIR = join(directory, 'run');
const backup = await publish(bucket, { day: 1 });
const records: string[] = [];

beforeEach(async () => {
  await deleteObjects(bucket, records.splice(0));
});

const problems = { sound: null, damaged: 'chunk x is damaged', failed: 'no space' } as const;

/** A drill at 4 o'clock of a day in January, as the bucket records it. */
async function recordDrill(day: number, result: keyof typeof problems): Promise<void> {
  const startedAt = new Date(Date.UTC(2026, 0, day, 4));
  const record: DrillRecord = {
    version: 1,
    subvolume: 'data',
    manifest_key: backup.key,
    created_at: backup.manifest.created_at,
    backups: 1,
    bytes: 2000,
    result,
    proofs: [],
    problem: problems[result],
    host: 'host',
    tool: TOOL,
    started_at: startedAt.toISOString(),
    finished_at: startedAt.toISOString(),
  };
  const key = drillKey(bucket.prefix, 'data', formatTimestamp(startedAt));
  await put(bucket, key, JSON.stringify(record));
  records.push(key);
}

/** What status says after a drill of the last day that ended so. */
async function saidAfter(day: number, exitCode: number, settings: Readonly<Record<string, string>> = {}) {
  const { context } = stageContext(bucket, { DRILL: 'weekly', ...settings, RUN_DIR });
  await new WatchFiles(RUN_DIR).writeRun({
    version: 1,
    command: 'drill',
    place: `${bucket.name}/${bucket.prefix}`,
    started_at: new Date(Date.UTC(2026, 0, day, 3, 59)).toISOString(),
    finished_at: new Date(Date.UTC(2026, 0, day, 4, 30)).toISOString(),
    exit_code: exitCode,
    done_at: null,
    problem: exitCode === 4 ? problems.damaged : problems.failed,
    subvolumes: {},
  });
  const status = await lookAtHost({ ...context, now: () => new Date(Date.UTC(2026, 0, day, 12)) });
  return [...status.subvolumes, status].flatMap((each) => each.complaints.map(({ text }) => text));
}

test('damage that a drill has recorded is one thing, and what it could not record is one as well', async () => {
  await recordDrill(2, 'damaged');
  assert.deepEqual(await saidAfter(2, 4), [
    'the drill of 2026-01-02 04:00 UTC found that the backup is damaged',
  ]);
  assert.deepEqual(await saidAfter(3, 4), [
    'the drill of 2026-01-02 04:00 UTC found that the backup is damaged',
    'the last make drill (2026-01-03 04:30 UTC) ended with exit code 4: chunk x is damaged',
  ]);
});

test('drills that failed are one thing, also where one of another subvolume ended well since', async () => {
  await recordDrill(2, 'failed');
  assert.deepEqual(await saidAfter(2, 1), ['the last drill failed (2026-01-02 04:00 UTC): no space']);
  await recordDrill(3, 'failed');
  const both = ['the last 2 drills failed (2026-01-03 04:00 UTC): no space'];
  assert.deepEqual(await saidAfter(3, 1), both);
  assert.deepEqual(await saidAfter(4, 0), both);
  // Without DRILL none is due, and the run is all there is to say.
  assert.deepEqual(await saidAfter(3, 1, { DRILL: 'off' }), [
    'the last make drill (2026-01-03 04:30 UTC) ended with exit code 1: no space',
  ]);
  // Damage of which nothing is recorded is not hidden behind a drill that failed beside it.
  assert.equal((await saidAfter(3, 4)).length, 2);
  await recordDrill(5, 'sound');
  assert.deepEqual(await saidAfter(5, 0), []);
});

test('a run without a drill is on record only where all is well', () => {
  const next = (failures: number): DrillResult => {
    return { subvolume: 'data', did: 'nothing', next: { at: 'later', failures } };
  };
  const other: DrillResult = { subvolume: 'data', did: 'leave', why: 'another drill holds the lock' };
  const made = { subvolume: 'home', did: 'drill' } as DrillResult;
  assert.deepEqual([[], [next(0)], [next(0), made], [next(2), made], [other, made]].map(isLeftOpen), [
    false,
    false,
    false,
    false,
    false,
  ]);
  assert.deepEqual([[next(2)], [next(0), next(2)], [other], [next(0), other]].map(isLeftOpen), [
    true,
    true,
    true,
    true,
  ]);
});
