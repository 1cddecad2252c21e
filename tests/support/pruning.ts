/** A bucket on the embedded server to prune, and a clock that goes ahead. */
import { join } from 'node:path';
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { DAY_MS } from '../../lib/core/units.ts';
import { listKeys } from '../../lib/edge/s3/objects.ts';
import type { Bucket } from '../../lib/edge/s3/s3-client.ts';
import { applyPrune, type PruneOutcome } from '../../lib/stage/bucket/apply-prune.ts';
import { planPrunes, problemsOf } from '../../lib/stage/bucket/prune.ts';
import { openTestBucket, startTestBucket } from './bucket.ts';
import { stageContext } from './stage-context.ts';

/** Starts the server; what it stores and the run files lie below a directory. */
export async function startPruning(directory: string) {
  const {
    bucket: first,
    server,
    proxy,
  } = await startTestBucket(join(directory, 's3'), {}, { listPageSize: 7 });
  const runDirectory = join(directory, 'run');
  const { context: base, warnings } = stageContext(first, { RUN_DIR: runDirectory });

  /** A place of its own below the bucket, and what a prune of it does; `days` from now if given. */
  async function place(prefix: string) {
    const bucket = await openTestBucket(proxy.endpoint, { S3_PREFIX: prefix });
    return { bucket, prune: (apply: boolean, days = 0, keep = 2) => pruneIn(bucket, apply, days, keep) };
  }

  async function pruneIn(bucket: Bucket, apply: boolean, days: number, keep: number) {
    const settings = { ...base.settings, KEEP_GENERATIONS: keep };
    const context = { ...base, bucket, settings, now: () => new Date(Date.now() + days * DAY_MS) };
    const survey = await planPrunes(context);
    const outcomes = new Map<string, PruneOutcome>();
    if (apply) {
      for (const plan of survey.plans) outcomes.set(plan.subvolume, await applyPrune(context, plan));
    }
    return { survey, outcomes, problem: problemsOf(survey, outcomes) };
  }
  return { server, proxy, warnings, runDirectory, place, pruneIn };
}

/** All keys below the bucket's prefix. */
export const keysIn = (bucket: Bucket) => listKeys(bucket, `${bucket.prefix}/`);

/** Begins a multipart upload that no run resumes. */
export async function beginUpload(bucket: Bucket, key: string): Promise<void> {
  await bucket.client.send(new CreateMultipartUploadCommand({ Bucket: bucket.name, Key: key }));
}
