/**
 * Chunks into the bucket, part by part. One SHA-256 per part serves as the signed payload hash, as the checksum that
 * S3 verifies, and as the entry in the manifest.
 */
import {
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandOutput,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type UploadPartCommandOutput,
} from '@aws-sdk/client-s3';
import type { StoredPart } from '../../core/format/run-files.ts';
import { type Condition, conditionOf, unlessTaken } from '../../edge/s3/conditional-write.ts';
import { lookUntilSeen } from '../../edge/s3/late-objects.ts';
import {
  abortUpload,
  isUnknownUpload,
  type ListedPart,
  listParts,
  type MultipartUpload,
} from '../../edge/s3/multipart-uploads.ts';
import { headObject, headOnce, type ObjectHead, type StoredObject } from '../../edge/s3/objects.ts';
import { attempt, sendOnce, transfer } from '../../edge/s3/requests/send.ts';
import type { Bucket, WriteOptions } from '../../edge/s3/s3-client.ts';
import { asksToSlowDown, isTransient, TransferError } from '../../edge/s3/s3-errors.ts';
import { objectMadeOf, objectOfBody } from './known-objects.ts';
import { type PartBody, presetPayloadHash, requestPayload, sizeOf } from './part-payload.ts';

/** What a writer reports while it works. */
export interface WriterEvents {
  /** Bytes handed to the network; negative when a failed attempt will send them again. */
  readonly onSent: (bytes: number) => void;
}

/** A request with these bytes, sent once; `spoiltEtag` is of what an earlier attempt stored, if its bytes were others. */
type SendBytes = (
  payload: ReturnType<typeof requestPayload> & { readonly ContentMD5?: string },
  spoiltEtag: string | undefined,
) => Promise<Pick<UploadPartCommandOutput, 'ETag' | 'ChecksumSHA256'>>;

/** Writes chunks to one bucket. */
export class ChunkWriter {
  readonly #bucket: Bucket;
  readonly #options: WriteOptions;
  readonly #events: WriterEvents;
  /** Set once the server has answered a part without the checksum that was sent, so it cannot have verified it. */
  #needsMd5 = false;
  #mayHaveStrays = false;
  #mayBeLate = true;

  constructor(bucket: Bucket, options: WriteOptions, events: WriterEvents) {
    this.#bucket = bucket;
    this.#options = options;
    this.#events = events;
  }

  /**
   * Stores a chunk that is no larger than one part.
   * @param replaces ETag of an object of ours that may be written over.
   * @throws KeyTaken when another object is there.
   */
  async putWhole(key: string, body: PartBody, replaces?: string): Promise<StoredObject> {
    const place = { Bucket: this.#bucket.name, Key: key };
    const write = (condition: Condition) =>
      this.#send(`store ${key}`, body, (payload, spoiltEtag) => {
        const replaced =
          spoiltEtag === undefined ? condition : conditionOf(this.#bucket, { etag: spoiltEtag });
        const command = new PutObjectCommand({ ...place, ...this.#options, ...payload, ...replaced });
        return sendOnce(this.#bucket, presetPayloadHash(command, body.sha256));
      });
    const asOurs = async (object: ObjectHead) => {
      const ours = await objectOfBody(object, body);
      // The attempt that stored it was counted back, because its answer was lost.
      if (ours) this.#events.onSent(sizeOf(body));
      return ours;
    };
    return unlessTaken(this.#bucket, key, replaces, write, asOurs);
  }

  /** Where it writes, for messages. */
  get server(): string {
    return this.#bucket.server;
  }

  /**
   * True when an attempt to begin an upload failed: only its answer may have been lost, and then the server has an upload whose
   * id is lost.
   */
  get mayHaveStrays(): boolean {
    return this.#mayHaveStrays;
  }

  /** Begins a chunk of several parts. S3 keeps part checksums only when the algorithm is named here. */
  async begin(key: string): Promise<MultipartUpload> {
    const request = {
      Bucket: this.#bucket.name,
      Key: key,
      ChecksumAlgorithm: 'SHA256' as const,
      ...this.#options,
    };
    const { UploadId } = await attempt(this.#bucket, `begin ${key}`, async () => {
      try {
        return await sendOnce(this.#bucket, new CreateMultipartUploadCommand(request));
      } catch (error) {
        this.#mayHaveStrays = true;
        throw error;
      }
    });
    if (!UploadId) throw new Error(`the server began ${key} without an upload id`);
    return { key, uploadId: UploadId };
  }

  /** Stores one part; resolves to its ETag. */
  async putPart(upload: MultipartUpload, number: number, body: PartBody): Promise<string> {
    const place = {
      Bucket: this.#bucket.name,
      Key: upload.key,
      UploadId: upload.uploadId,
      PartNumber: number,
    };
    const stored = await this.#send(`store part ${number} of ${upload.key}`, body, (payload) => {
      const command = new UploadPartCommand({ ...place, ...payload });
      return sendOnce(this.#bucket, presetPayloadHash(command, body.sha256));
    });
    return stored.etag;
  }

  /**
   * Makes the parts one object; each checksum is repeated, as S3 demands of uploads that named an algorithm. Where the answer
   * is lost, S3 may not know the upload any more when it is asked again: then the object is looked for.
   * @param replaces ETag of an object of ours that may be written over.
   * @throws KeyTaken when another object is there.
   */
  async complete(
    upload: MultipartUpload,
    parts: readonly StoredPart[],
    replaces?: string,
  ): Promise<StoredObject> {
    const Parts = parts.map((part) => ({
      PartNumber: part.number,
      ETag: part.etag,
      ...(this.#bucket.habits.checksums === 'sha256' && { ChecksumSHA256: part.sha256 }),
    }));
    const place = { Bucket: this.#bucket.name, Key: upload.key, UploadId: upload.uploadId };
    const completeOnce = async (condition: Condition): Promise<StoredObject> => {
      const request = { ...place, ...condition, MultipartUpload: { Parts } };
      try {
        const done = await sendOnce(this.#bucket, new CompleteMultipartUploadCommand(request));
        return await this.#asShown(upload.key, parts, done);
      } catch (error) {
        const object = mayBeDone(error) ? await headOnce(this.#bucket, upload.key).catch(ignore) : undefined;
        const made = objectMadeOf(object, parts);
        if (made) return made;
        throw error;
      }
    };
    const write = (condition: Condition) =>
      attempt(this.#bucket, `complete ${upload.key}`, () => completeOnce(condition));
    const asOurs = async (object: ObjectHead) => {
      const ours = objectMadeOf(object, parts);
      // It was made of an earlier upload, so this one stays unfinished; that it stays is no reason not to go on.
      if (ours) await abortUpload(this.#bucket, upload).catch(ignore);
      return ours;
    };
    return unlessTaken(this.#bucket, upload.key, replaces, write, asOurs);
  }

  /**
   * What was completed, as later looks will find it. Where the server keeps no checksum, its ETag is all there is to know an object by,
   * and some give another one with HEAD, or none at first: then that of HEAD counts, and none where it is not to be seen yet.
   */
  async #asShown(
    key: string,
    parts: readonly StoredPart[],
    { ETag: etag = '', ChecksumSHA256: checksum }: CompleteMultipartUploadCommandOutput,
  ): Promise<StoredObject> {
    if (checksum !== undefined) return { etag, checksum };
    const head = await headOnce(this.#bucket, key).catch(ignore);
    this.#bucket.signal.throwIfAborted();
    const sizeBytes = parts.reduce((sum, { size }) => sum + size, 0);
    if (head?.sizeBytes === sizeBytes) return { etag: head.etag, checksum: head.sha256 };
    const asMade = objectMadeOf({ sizeBytes, etag, sha256: undefined }, parts);
    return asMade ?? { etag: '', checksum: undefined };
  }

  /** The object under a key, if it is the one that these parts make. */
  async findMadeOf(key: string, parts: readonly StoredPart[]): Promise<StoredObject | undefined> {
    return objectMadeOf(await headObject(this.#bucket, key), parts);
  }

  /** The parts that the server has of an upload, by number; undefined when it does not know the upload. */
  async listParts(upload: MultipartUpload): Promise<ReadonlyMap<number, ListedPart> | undefined> {
    return listParts(this.#bucket, upload);
  }

  /** True when the bucket has an object as it was stored: size and ETag. */
  async has(stored: {
    readonly key: string;
    readonly size: number;
    readonly etag: string;
  }): Promise<boolean> {
    const head = await this.#lookFor(stored.key);
    return head?.sizeBytes === stored.size && (stored.etag === '' || head.etag === stored.etag);
  }

  /** Waits for what may only not be seen yet; where that did not help once, not again. */
  async #lookFor(key: string): Promise<ObjectHead | undefined> {
    const look = () => headObject(this.#bucket, key);
    if (!this.#mayBeLate) return look();
    const head = await lookUntilSeen(this.#bucket, look, (seen) => seen !== undefined);
    this.#mayBeLate = head !== undefined;
    return head;
  }

  async #send(what: string, body: PartBody, sendBytes: SendBytes): Promise<StoredObject> {
    let spoiltEtag: string | undefined;
    return transfer(this.#bucket, what, this.#events.onSent, async (count) => {
      const { limits, signal } = this.#bucket;
      const limit = limits.upload.isSet ? { limiter: limits.upload, signal } : undefined;
      const payload = requestPayload(body, count, limit);
      const withMd5 = this.#needsMd5 || this.#bucket.habits.checksums === 'md5';
      const md5 = withMd5 && { ContentMD5: await body.md5() };
      const answer = await sendBytes({ ...payload, ...md5 }, spoiltEtag).catch((error: unknown) => {
        if (withMd5 || this.#bucket.habits.checksums === 'sha256') throw error;
        // The server has just turned out to refuse the SHA-256: the next attempt brings the MD5.
        throw new TransferError((error as Error).message, { cause: error });
      });
      spoiltEtag = answer.ETag;
      return this.#verify(what, body, answer, withMd5);
    });
  }

  /**
   * A server that does not repeat the checksum has not verified it: then the ETag must be the MD5 of what was sent,
   * unless that went along (`withMd5`) and was verified by the server.
   */
  async #verify(
    what: string,
    body: PartBody,
    answer: Awaited<ReturnType<SendBytes>>,
    withMd5: boolean,
  ): Promise<StoredObject> {
    const etag = answer.ETag ?? '';
    if (answer.ChecksumSHA256 === undefined && !withMd5) {
      const md5 = Buffer.from(await body.md5(), 'base64').toString('hex');
      this.#needsMd5 = true;
      if (etag.replaceAll('"', '') !== md5 && this.#options.ServerSideEncryption !== 'aws:kms') {
        throw new TransferError(`${what}: the server has other bytes than were sent`);
      }
    }
    return { etag, checksum: answer.ChecksumSHA256 };
  }
}

/**
 * Whether an upload could be complete although completing it failed: Ceph answers 500 to the second attempt. A server that has
 * too much to do is not asked more than needed: if it has completed the upload all the same, the next attempt will tell.
 */
function mayBeDone(error: unknown): boolean {
  return isUnknownUpload(error) || (isTransient(error) && !asksToSlowDown(error));
}

/** The error that made us look is the one to be repeated or reported. */
function ignore(): undefined {
  return undefined;
}
