/** Kills a backup in the middle of its upload, and resumes it. */
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatSize, MIB } from '../../lib/core/units.ts';
import { deterministicRandom } from '../harness/deterministic-random.ts';
import { demandBackups, demandS3, type StateWithS3 } from '../harness/runner/demand-setup.ts';
import { runStep, type Step } from '../harness/runner/run-step.ts';
import { make } from '../harness/runner/tool.ts';
import { type HarnessBucket, openHarnessBucket } from '../harness/steps/bucket.ts';
import { startChecks } from '../harness/steps/check.ts';
import { type JournalLine, killUpload, readJournal } from '../harness/steps/kill-upload.ts';
import { mutateAll } from '../harness/steps/mutate.ts';
import {
  digestSubvolumes,
  type LiveDigests,
  pointedManifest,
  recordBackups,
} from '../harness/steps/record-backups.ts';
import { sentAgain, servedRequests } from '../harness/steps/served-requests.ts';

const victim = 'data';
const attempts = 3;

await runStep({
  name: 'run-interrupt',
  summary: `Changes the data, adds INTERRUPT_SIZE of new bytes, and kills "make backup" with SIGKILL in the middle of the upload.
The last published backup must stay as it was; the next run must resume with the same snapshot, send no stored
part again, and publish.`,
  async run(step) {
    const { places, log, settings } = step;
    let state = await demandS3(step);
    demandBackups(state);
    const bucket = await openHarnessBucket(places);
    try {
      for (let attempt = 1; ; attempt += 1) {
        state = { ...(await mutateAll(step, state)), s3: state.s3 };
        await addBytes(
          join(places.mountPoint, victim, 'large'),
          state.rounds,
          settings.interruptBytes * attempt,
        );
        const live = await digestSubvolumes(places);
        const pointed = await pointedManifest(bucket, victim);
        const journal = await killUpload(step, victim);
        if (journal) {
          await goOn(step, state, bucket, { journal, pointed, live });
          return;
        }
        state = { ...(await recordBackups(step, state, 'incremental', live)), s3: state.s3 };
        log.say(`the backup was faster than its killer, attempt ${attempt}`);
        if (attempt === attempts)
          throw new Error('the upload could not be killed in time: raise INTERRUPT_SIZE');
      }
    } finally {
      bucket.close();
    }
  },
});

/** What is there when the upload has been killed. */
interface Interrupted {
  readonly journal: readonly JournalLine[];
  /** The manifest that the pointer named before. */
  readonly pointed: string | undefined;
  readonly live: LiveDigests;
}

async function goOn(
  step: Step<string>,
  state: StateWithS3,
  bucket: HarnessBucket,
  { journal, pointed, live }: Interrupted,
): Promise<void> {
  const { places, log } = step;
  const stored = journal.filter(({ event }) => event === 'part-stored');
  const completed = journal.filter(({ event }) => event === 'chunk-completed');
  log.say(`killed, with ${stored.length} parts stored and ${completed.length} chunks complete`);
  const checks = startChecks(log);
  checks.hold(completed.length > 0 && stored.length > 0, 'it was in the middle');
  checks.hold((await pointedManifest(bucket, victim)) === pointed, 'the pointer is where it was');
  const manifests = (await bucket.list()).filter(({ key }) => /\/manifest-\w+\.json$/.test(key)).length;
  checks.hold(manifests === state.backups.length, 'no manifest came before its backup was whole', manifests);
  const before = await writtenAt(bucket, completed);
  const served = (await servedRequests(places, state))?.length;
  // S3 reports the time of an object in whole seconds: one that is written again must show.
  await sleep(1500);
  await make(step, 'upload');
  const after = await writtenAt(bucket, completed);
  checks.hold(`${after}` === `${before}`, 'no complete chunk was written again', after);
  const parts = (await readJournal(places, victim)).filter(({ event }) => event === 'part-stored');
  const distinct = new Set(parts.map(({ index, number }) => `${index}/${number}`));
  checks.hold(distinct.size === parts.length, 'no stored part was sent again', [distinct.size, parts.length]);
  checks.hold(parts.length > stored.length, 'the rest was sent', parts.length);
  const since = (await servedRequests(places, state))?.slice(served);
  if (since)
    checks.hold(sentAgain(journal, since).length === 0, 'says the server', sentAgain(journal, since));
  checks.hold((await pointedManifest(bucket, victim)) === pointed, 'an upload alone publishes nothing');
  await make(step, 'publish');
  await recordBackups(step, state, 'incremental', live);
  checks.finish('the resumed upload');
}

/** Bytes that no other file has, and that do not compress. */
async function addBytes(directory: string, round: number, bytes: number): Promise<void> {
  await mkdir(directory, { recursive: true });
  const random = deterministicRandom(`interrupt ${round}`);
  const file = await open(join(directory, `interrupt-${round}`), 'wx');
  try {
    for (let written = 0; written < bytes; written += MIB) {
      await file.writeFile(random.bytes(Math.min(MIB, bytes - written)));
    }
  } catch (cause) {
    throw new Error(`cannot add ${formatSize(bytes)} to the data: raise IMAGE_SIZE`, { cause });
  } finally {
    await file.close();
  }
}

async function writtenAt(bucket: HarnessBucket, chunks: readonly JournalLine[]): Promise<readonly string[]> {
  const times: string[] = [];
  for (const { key = '' } of chunks) times.push(`${(await bucket.head(key)).LastModified?.toISOString()}`);
  return times;
}
