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

/** What was found. */
export interface FoundBucket {
  /** The one that has to be made; to be closed. */
  readonly toMake?: Bucket;
  /** Why no server will ever take these credentials; what else is wrong, such as a policy that is missing, may be mended later. */
  readonly refusal?: ToolError;
}

/** Looks for the bucket, and offers to make it. */
export async function findBucket(
  answers: Answers,
  { hostName, makesBucket }: { readonly hostName: string; readonly makesBucket: boolean },
  signal: AbortSignal,
): Promise<FoundBucket> {
  const { prompter } = answers;
  const { values, aws } = resolveSettings(answers.lines());
  handToSdk(aws, 'these settings', process.env);
  let bucket: Bucket | undefined;
  let refusal: ToolError | undefined;
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
      if (makesBucket || (await prompter?.confirm(text, true))) return { toMake: bucket };
    } else prompter?.say(`! ${describeError(error)}`);
    if (isNamed(error, 'InvalidAccessKeyId', 'SignatureDoesNotMatch')) refusal = error;
  }
  bucket?.close();
  return refusal ? { refusal } : {};
}
