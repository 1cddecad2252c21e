/** Whether the bucket is there: asked before anything is made. */

import { describeError, ToolError } from '../../core/errors.ts';
import { resolveSettings } from '../../core/settings/settings.ts';
import { checkAccess } from '../../edge/s3/objects.ts';
import { type Bucket, openBucket } from '../../edge/s3/s3-client.ts';
import { isNamed } from '../../edge/s3/s3-errors.ts';
import { handToSdk } from '../options/sdk-environment.ts';
import type { Answers } from './answers.ts';

/** As long as a person waits for a server that does not answer. */
const retryForSeconds = 5;

/** Looks for the bucket, and offers to make it. @returns the one that has to be made; to be closed */
export async function findBucket(
  answers: Answers,
  { hostName, makesBucket }: { readonly hostName: string; readonly makesBucket: boolean },
  signal: AbortSignal,
): Promise<Bucket | undefined> {
  const { prompter } = answers;
  const { values, aws } = resolveSettings(answers.lines());
  handToSdk(aws, 'these settings', process.env);
  let bucket: Bucket | undefined;
  try {
    bucket = await openBucket({ ...values, RETRY_FOR: retryForSeconds }, hostName, {
      signal,
      onRetry: () => undefined,
      onSlowDown: () => undefined,
    });
    await checkAccess(bucket);
    prompter?.say(`the bucket ${bucket.name} is there, and these credentials may list it`);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ToolError)) throw error;
    if (bucket && isNamed(error, 'NoSuchBucket')) {
      const text = `There is no bucket ${bucket.name}. Make it, private and without versions?`;
      if (makesBucket || (await prompter?.confirm(text, true))) return bucket;
    } else prompter?.say(`! ${describeError(error)}`);
  }
  bucket?.close();
  return undefined;
}
