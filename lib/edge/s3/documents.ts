/** Small objects, read and written whole: manifests, pointers, texts. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { GetObjectCommand, type InvalidObjectState, PutObjectCommand } from '@aws-sdk/client-s3';
import { ToolError } from '../../core/errors.ts';
import { parseKey } from '../../core/format/names.ts';
import { type Archive, archiveOf, restoreCommand } from '../../core/thaw/archive-classes.ts';
import { type Condition, isRefusedFor, type Precondition, writeUnder } from './conditional-write.ts';
import { isUnlisted } from './objects.ts';
import { attempt, piecesOf, send, sendOnce } from './requests/send.ts';
import type { Bucket, WriteOptions } from './s3-client.ts';
import { isDenied, isNamed, reasonOf, TransferError } from './s3-errors.ts';

/** A document and the ETag under which it was read. */
export interface Document {
  readonly text: string;
  readonly etag: string;
}

/** A document lies in an archive, where this tool never stores one: a lifecycle rule, or Intelligent-Tiering, has moved it. */
export class ArchivedDocument extends ToolError {
  readonly key: string;

  constructor(bucket: Bucket, key: string, cause: unknown) {
    // The error names class and tier, but not every server says which.
    const { StorageClass = '', AccessTier } = (cause ?? {}) as Partial<InvalidObjectState>;
    const archive = archiveOf(StorageClass, AccessTier);
    const problem = `is archived${archive ? ` (${archive})` : ''} and must be thawed to be read`;
    super(`${key} ${problem} (bucket ${bucket.name})`, {
      kind: 'thaw',
      problem,
      hint: `${thawHint(bucket, key, archive)}; ${preventionHint(archive)}`,
      cause,
    });
    this.key = key;
  }
}

function thawHint({ name, prefix }: Bucket, key: string, archive: Archive | undefined): string {
  const parsed = parseKey(prefix, key);
  return parsed?.type === 'manifest'
    ? `make thaw SUBVOLUME=${parsed.subvolume} requests it`
    : `request it with: ${restoreCommand(name, key, archive)}`;
}

function preventionHint(archive: Archive | undefined): string {
  return archive?.endsWith('ACCESS')
    ? 'STORAGE_CLASS_MANIFEST=STANDARD keeps new ones out of there'
    : 'a lifecycle rule must have moved it: take it out of that';
}

/**
 * Reads a document; undefined when there is none.
 * @throws ArchivedDocument; ToolError when it is larger than `maxBytes` or cannot be read; of the kind damage when its bytes are, time and again,
 *   not those that were stored, where the server keeps a checksum.
 */
export async function readDocument(
  bucket: Bucket,
  key: string,
  maxBytes: number,
): Promise<Document | undefined> {
  const what = `read ${key}`;
  try {
    return await attempt(bucket, what, () => readIfThere(bucket, key, maxBytes));
  } catch (error) {
    const reason = reasonOf(error);
    if (reason instanceof OtherBytes) {
      throw new ToolError(`${key} is damaged: ${reason.message}`, {
        kind: 'damage',
        problem: `is damaged: ${reason.message}`,
        hint: 'see what else is affected with: make verify',
        cause: reason,
      });
    }
    if (isNamed(error, 'InvalidObjectState')) throw new ArchivedDocument(bucket, key, reason);
    throw error;
  }
}

/** A document is small and has no hash anywhere else, so that one wrong digit in it would pass for the truth. */
class OtherBytes extends TransferError {}

async function readIfThere(bucket: Bucket, key: string, maxBytes: number): Promise<Document | undefined> {
  try {
    return await readOnce(bucket, key, maxBytes);
  } catch (error) {
    if (isNamed(error, 'NoSuchKey')) return undefined;
    if (!isDenied(error)) throw error;
    if (await isUnlisted(bucket, key)) return undefined;
    // Denied, or stored between the two requests.
    return readOnce(bucket, key, maxBytes);
  }
}

async function readOnce(bucket: Bucket, key: string, maxBytes: number): Promise<Document> {
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key, ChecksumMode: 'ENABLED' });
  const response = await sendOnce(bucket, command);
  const body = response.Body as Readable;
  const { ContentLength: bytes = 0, ETag: etag = '' } = response;
  if (bytes > maxBytes) {
    // A body that is not read keeps its connection, and there are only so many.
    body.destroy();
    throw tooLarge(key, maxBytes);
  }
  const pieces = piecesOf(body, key, bucket.signal);
  const content = await text(limited(pieces, key, maxBytes)).catch((error: unknown) => {
    // The SDK compares the checksum; its error has no name.
    if (!(error instanceof Error) || !error.message.startsWith('Checksum mismatch')) throw error;
    throw new OtherBytes('its bytes are not those that were stored', { cause: error });
  });
  return { text: content, etag };
}

/** The length in the head of the answer may be wrong, or missing. */
async function* limited(
  pieces: AsyncIterable<Buffer>,
  key: string,
  maxBytes: number,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(key, maxBytes);
    yield piece;
  }
}

function tooLarge(key: string, maxBytes: number): ToolError {
  const problem = `has more than ${maxBytes} bytes, and is not read`;
  return new ToolError(`${key} ${problem}`, {
    kind: 'damage',
    problem,
    hint: 'see what else is affected with: make verify',
  });
}

/** Writes a document under a precondition; false when the precondition does not hold. It is JSON unless `options` say otherwise. */
export async function writeDocument(
  bucket: Bucket,
  key: string,
  content: string,
  options: Partial<WriteOptions> & { readonly ContentType?: string },
  precondition: Precondition,
): Promise<boolean> {
  const write = (condition: Condition) =>
    put(bucket, { key, content, type: 'application/json', ...condition }, options);
  try {
    await writeUnder(bucket, key, precondition, write);
    return true;
  } catch (error) {
    if (isRefusedFor(precondition, error)) return false;
    throw error;
  }
}

/** Writes a text for people, over whatever was there. */
export async function writeText(
  bucket: Bucket,
  key: string,
  content: string,
  options: WriteOptions,
): Promise<void> {
  await put(bucket, { key, content, type: 'text/plain; charset=utf-8' }, options);
}

/**
 * Every object carries its checksum: where Object Lock retains what is new, S3 refuses one without
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html).
 */
async function put(
  bucket: Bucket,
  {
    key,
    content,
    type,
    ...condition
  }: { readonly key: string; readonly content: string; readonly type: string } & Partial<Condition>,
  options: Partial<WriteOptions>,
): Promise<void> {
  const command = new PutObjectCommand({
    Bucket: bucket.name,
    Key: key,
    Body: content,
    ContentType: type,
    ChecksumSHA256: createHash('sha256').update(content).digest('base64'),
    ...options,
    ...condition,
  });
  await send(bucket, `write ${key}`, command);
}
