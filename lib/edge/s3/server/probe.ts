/**
 * Finds out, with a few small requests, whether a server takes what a backup will send: before a snapshot is taken and before the first
 * part. A text is written that is kept anyway, and an upload begun that is given up at once, so that nothing is left and no right to
 * delete is needed.
 */
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { ToolError } from '../../../core/errors.ts';
import { archiveOf } from '../../../core/thaw/archive-classes.ts';
import { formatSize } from '../../../core/units.ts';
import { writeDocument } from '../documents.ts';
import { chooseClass, explainS3Error } from '../explain-error.ts';
import { abandonUpload, type MultipartUpload } from '../multipart-uploads.ts';
import { send } from '../requests/send.ts';
import type { Bucket, WriteOptions } from '../s3-client.ts';
import { detailsOf, isDenied, reasonOf, statusOf } from '../s3-errors.ts';
import { requestThaw } from '../thaw-requests.ts';
import { announcePart } from './body-limit.ts';

/** What a backup will send. */
export interface Probe {
  /** Written where there is none; what is there stays. */
  readonly text: { readonly key: string; readonly content: string; readonly options: WriteOptions };
  /** A key where chunks may be, and none ever is. */
  readonly chunk: { readonly key: string; readonly options: WriteOptions };
  readonly partSizeBytes: number;
}

/**
 * Tries what a backup will send. What the server can do without is noted in the bucket's habits, and reported once.
 * @throws ToolError that names the setting to change
 */
export async function probeServer(bucket: Bucket, probe: Probe): Promise<void> {
  await tryText(bucket, probe.text);
  // AWS has no proxy in front, takes all classes and ciphers, and says what is wrong with a key of KMS when the text is written.
  if (bucket.isAws) return;
  await tryChunk(bucket, probe);
  await tryThaw(bucket, probe.chunk);
}

/** Requests the thaw of what is not there, where chunks are archived: a server without such requests says so, and charges nothing. */
async function tryThaw(bucket: Bucket, { key, options: { StorageClass } }: Probe['chunk']): Promise<void> {
  const archive = archiveOf(StorageClass);
  if (!archive) return;
  const answer = await requestThaw(bucket, { key, archive }, { tier: 'Standard', days: 1 }).catch(() =>
    // There is nothing at the key, as it should be; or whoever backs up may not ask.
    bucket.signal.throwIfAborted(),
  );
  if (answer === 'unknown') bucket.habits.lackThaw(StorageClass);
}

async function tryText(bucket: Bucket, { key, content, options }: Probe['text']): Promise<void> {
  const write = (chosen: Partial<WriteOptions>) =>
    writeDocument(
      bucket,
      key,
      content,
      { ...chosen, ContentType: 'text/plain; charset=utf-8' },
      { absent: true },
    );
  try {
    const isWritten = await write(options).catch((error: unknown) => blame(error, options, write));
    // Where it was there already, it was written over; a second time it is there for certain.
    if (isWritten && bucket.habits.keepsConditions && (await write(options))) {
      bucket.habits.loseConditions('ignores');
    }
  } catch (error) {
    // These credentials may not write this text; whether they may write chunks is another question.
    if (!isDenied(error) || /kms:/i.test(detailsOf(reasonOf(error)).message ?? '')) throw error;
  }
}

async function tryChunk(bucket: Bucket, { chunk: { key, options }, partSizeBytes }: Probe): Promise<void> {
  const begin = async (chosen: Partial<WriteOptions>): Promise<MultipartUpload> => {
    const request = { Bucket: bucket.name, Key: key, ChecksumAlgorithm: 'SHA256' as const, ...chosen };
    const command = new CreateMultipartUploadCommand(request);
    const { UploadId = '' } = await send(bucket, `begin ${key}`, command);
    return { key, uploadId: UploadId };
  };
  const giveUp = (upload: MultipartUpload) =>
    // Whoever may not end uploads has one of no bytes for as long as the bucket's rules keep it.
    abandonUpload(bucket, upload).catch(() => bucket.signal.throwIfAborted());
  try {
    const upload = await begin(options).catch((error: unknown) =>
      blame(error, options, async (chosen) => giveUp(await begin(chosen))),
    );
    const status = await announcePart(bucket, upload, partSizeBytes).finally(() => giveUp(upload));
    if (status === 413) throw tooLarge(bucket, partSizeBytes);
  } catch (error) {
    if (!isDenied(error)) throw error;
  }
}

/**
 * A refusal in general words is of what the same request works without.
 * @throws always: what was said, or what it is about
 */
async function blame(
  error: unknown,
  { StorageClass, ...encryption }: WriteOptions,
  tryWith: (options: Partial<WriteOptions>) => Promise<unknown>,
): Promise<never> {
  const isVague = error instanceof ToolError && error.hint === undefined && statusOf(error.cause) === 501;
  if (!isVague) throw error;
  const trials = [
    {
      without: { StorageClass },
      is: `server-side encryption (SSE=${encryption.ServerSideEncryption})`,
      hint: 'set SSE=none',
    },
    { without: encryption, is: `the storage class ${StorageClass}`, hint: chooseClass },
  ];
  for (const { without, is, hint } of trials) {
    const works = await tryWith(without).then(
      () => true,
      () => false,
    );
    if (works)
      throw new ToolError(`the server refuses ${is}: ${error.message}`, { hint, cause: error.cause });
  }
  throw error;
}

function tooLarge({ name, server }: Bucket, partSizeBytes: number): Error {
  const answer = Object.assign(new Error('413'), { $metadata: { httpStatusCode: 413 } });
  return explainS3Error(answer, { what: `send parts of ${formatSize(partSizeBytes)}`, bucket: name, server });
}
