/** Deletes many objects in batches, and reports each key that is refused. */
import { DeleteObjectsCommand, GetObjectRetentionCommand } from '@aws-sdk/client-s3';
import { cleanText } from './clean-error.ts';
import { attempt, sendOnce } from './requests/send.ts';
import type { Bucket } from './s3-client.ts';
import { reasonOf } from './s3-errors.ts';

/** Keys in one request, at most (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html). */
const batchSize = 1000;

/** A key that is still there, and why. */
export interface Refusal {
  readonly key: string;
  readonly problem: string;
}

/** A server's answer that some keys could not be deleted for the moment: they are tried again. */
class PassingRefusal extends Error {
  readonly $retryable = {};
}

/** By code, as S3 lists them among the errors of single keys; they may pass. */
const passing: readonly string[] = ['InternalError', 'ServiceUnavailable', 'SlowDown', 'OperationAborted'];

/**
 * Deletes objects; a key that is not there counts as deleted. In a bucket that keeps versions it is hidden, and its versions stay.
 * S3 wants a digest of the request, which the SDK adds.
 * @returns the keys that were refused, in their order
 * @throws ToolError when a whole request is; what came before it is deleted
 */
export async function deleteObjects(bucket: Bucket, keys: readonly string[]): Promise<readonly Refusal[]> {
  const refused: Refusal[] = [];
  for (let from = 0; from < keys.length; from += batchSize) {
    refused.push(...(await deleteBatch(bucket, keys.slice(from, from + batchSize))));
  }
  return refused;
}

async function deleteBatch(bucket: Bucket, keys: readonly string[]): Promise<readonly Refusal[]> {
  const what = `delete ${keys.length === 1 ? keys[0] : `${keys.length} objects, such as ${keys[0]}`}`;
  const refused = new Map<string, string>();
  let left = keys;
  const ask = async () => {
    const Objects = left.map((Key) => ({ Key }));
    const command = new DeleteObjectsCommand({ Bucket: bucket.name, Delete: { Objects, Quiet: true } });
    const { Errors = [] } = await sendOnce(bucket, command);
    const again: string[] = [];
    for (const { Key = '', Code = '', Message = '' } of Errors) {
      refused.set(Key, cleanText(Message === '' ? Code : `${Code}: ${Message}`, []));
      if (passing.includes(Code)) again.push(Key);
    }
    for (const key of left) if (!Errors.some(({ Key }) => Key === key)) refused.delete(key);
    left = again;
    if (again.length > 0) throw new PassingRefusal(refused.get(again[0] ?? ''));
  };
  try {
    await attempt(bucket, what, ask);
  } catch (error) {
    if (!(reasonOf(error) instanceof PassingRefusal)) throw error;
  }
  return keys.flatMap((key) => {
    const problem = refused.get(key);
    return problem === undefined ? [] : [{ key, problem }];
  });
}

/** Until when Object Lock keeps an object from being deleted; undefined when it does not, or these credentials may not read it. */
export async function retainedUntil(bucket: Bucket, key: string): Promise<Date | undefined> {
  const command = new GetObjectRetentionCommand({ Bucket: bucket.name, Key: key });
  try {
    const { Retention } = await sendOnce(bucket, command);
    return Retention?.RetainUntilDate;
  } catch {
    // It would only have explained a refusal that is reported anyway.
    bucket.signal.throwIfAborted();
    return undefined;
  }
}
