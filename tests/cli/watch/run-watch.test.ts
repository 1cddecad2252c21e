/** How long the bucket is looked at for METRICS_FILE, with waits cut short: 30 seconds are 50 ms here, 15 minutes 1.5 seconds. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '../../../lib/cli/log.ts';
import { RunWatch } from '../../../lib/cli/watch/run-watch.ts';
import { WatchFiles } from '../../../lib/edge/files/watch-files.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { publish } from '../../support/fake-backups.ts';
import { settingsOf } from '../../support/settings.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

shortenWaits(30_000, 600);
const directory = temporaryDirectory('run-watch');
const { bucket, proxy } = await startTestBucket(join(directory, 'server'));
const values = settingsOf({
  S3_BUCKET: bucket.name,
  METRICS_FILE: join(directory, 'backup.prom'),
  RUN_DIR: join(directory, 'run'),
});
const files = new WatchFiles(values.RUN_DIR);

/** Looks as a run does at its end; gives what was warned of. */
async function look(): Promise<readonly string[]> {
  const warnings: string[] = [];
  const log = await createLog({ script: 'backup', format: 'json', level: 'error' });
  log.warn = (line: string) => void warnings.push(line);
  const watched = { command: 'backup', pings: 'all' } as const;
  const watch = new RunWatch({ watched, values, log, hostName: 'host', isWhole: true, errors: [] });
  await watch.look(stageContext(bucket).context);
  return warnings;
}

const newest = async () => (await files.readHealth())?.subvolumes.data?.newest?.created_at;

test('a slow bucket is looked at to the end', async () => {
  await publish(bucket, { day: 1 });
  const slowly = async <Answer>(answer: Answer) => {
    await sleep(100);
    return answer;
  };
  proxy.expect({ matches: () => true, after: slowly });
  assert.deepEqual(await look(), []);
  assert.equal(await newest(), '20260101T020000Z');
});

test('a look that does not end is given up, says so, and leaves what was known', async () => {
  await publish(bucket, { day: 2 });
  proxy.expect({ matches: ({ url }) => /manifest-/.test(url), before: () => new Promise<never>(() => {}) });
  assert.deepEqual(await look(), [
    'cannot look at the bucket for METRICS_FILE: the time limit of 15m 00s was reached; METRICS_FILE keeps what the last look found; the run itself is not affected',
  ]);
  assert.equal(await newest(), '20260101T020000Z');
});
