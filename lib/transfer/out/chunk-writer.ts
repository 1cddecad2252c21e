/**
 * Chunks into the bucket, part by part. One SHA-256 per part serves as the signed payload hash, as the checksum that
 * S3 verifies, and as the entry in the manifest.
 */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  type ListPartsCommandOutput,
  PutObjectCommand,
  UploadPartCommand,
  type UploadPartCommandOutput,
} from '@aws-sdk/client-s3';
import type { StoredPart } from '../../core/format/run-files.ts';
import { noteRequest } from '../../edge/process/garbage.ts';
import { unlessTaken } from '../../edge/s3/conditional-write.ts';
import { type Condition, conditionOf, explain } from '../../edge/s3/conditions.ts';
import { abortUpload, isUnknownUpload, type MultipartUpload } from '../../edge/s3/multipart-uploads.ts';
import { headObject, headOnce, type ObjectHead, type StoredObject } from '../../edge/s3/objects.ts';
import { pagesOf } from '../../edge/s3/pages.ts';
import { TransferError } from '../../edge/s3/retry.ts';
import type { Bucket, WriteOptions } from '../../edge/s3/s3-client.ts';
import { asksToSlowDown, isTransient } from '../../edge/s3/s3-errors.ts';
import { objectMadeOf, objectOfBody } from './known-objects.ts';
import { type PartBody, presetPayloadHash, requestPayload } from './part-payload.ts';

/** A part as the server has it. */
export interface ListedPart {
  readonly sizeBytes: number;
  readonly etag: string;
}

/** What a writer tells while it works. */
export interface WriterEvents {
  /** Bytes handed to the network; negative when a failed attempt will send them again. */
  readonly onSent: (bytes: number) => void;
}

type Command = PutObjectCommand | UploadPartCommand;

/** What both commands answer. */
type PartAnswer = Pick<UploadPartCommandOutput, 'ETag' | 'ChecksumSHA256'>;

/** Writes chunks to one bucket. */
export class ChunkWriter {
  readonly #bucket: Bucket;
  readonly #options: WriteOptions;
  readonly #events: WriterEvents;
  readonly #signal: AbortSignal;
  /** Set once the server has answered a part without the checksum that was sent, so it cannot have verified it. */
  #needsMd5 = false;
  #mayHaveStrays = false;

  constructor(bucket: Bucket, options: WriteOptions, events: WriterEvents, signal: AbortSignal) {
    this.#bucket = bucket;
    this.#options = options;
    this.#events = events;
    this.#signal = signal;
  }

  /**
   * Stores a chunk that is no larger than one part.
   * @param replaces ETag of an object of ours that may be written over.
   * @throws KeyTaken when another object is there.
   */
  async putWhole(key: string, body: PartBody, replaces?: string): Promise<StoredObject> {
    const place = { Bucket: this.#bucket.name, Key: key };
    const write = (condition: Condition) =>
      this.#send(
        `store ${key}`,
        body,
        (payload, spoiltEtag) =>
          new PutObjectCommand({
            ...place,
            ...this.#options,
            ...payload,
            ...(spoiltEtag === undefined ? condition : conditionOf({ etag: spoiltEtag })),
          }),
      );
    const asOurs = async (object: ObjectHead) => {
      const ours = await objectOfBody(object, body);
      // The attempt that stored it was counted back, because its answer was lost.
      if (ours) this.#events.onSent(body.bytes.length);
      return ours;
    };
    return unlessTaken(this.#bucket, key, replaces, write, asOurs);
  }

  /**
   * True when an attempt to begin an upload failed: only its answer may have been lost, and then the server has an upload whose
   * id nobody knows.
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
    const attempt = () =>
      this.#bucket.client
        .send(new CreateMultipartUploadCommand(request), { abortSignal: this.#signal })
        .catch((error: unknown) => {
          this.#mayHaveStrays = true;
          throw error;
        });
    const { UploadId } = await this.#ask(`begin ${key}`, attempt);
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
    const stored = await this.#send(
      `store part ${number} of ${upload.key}`,
      body,
      (payload) => new UploadPartCommand({ ...place, ...payload }),
    );
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
      ChecksumSHA256: part.sha256,
    }));
    const place = { Bucket: this.#bucket.name, Key: upload.key, UploadId: upload.uploadId };
    const attempt = async (condition: Condition): Promise<StoredObject> => {
      const request = { ...place, ...condition, MultipartUpload: { Parts } };
      const command = new CompleteMultipartUploadCommand(request);
      try {
        const done = await this.#bucket.client.send(command, { abortSignal: this.#signal });
        return { etag: done.ETag ?? '', checksum: done.ChecksumSHA256 };
      } catch (error) {
        const object = mayBeDone(error) ? await headOnce(this.#bucket, upload.key).catch(ignore) : undefined;
        const made = objectMadeOf(object, parts);
        if (made) return made;
        throw error;
      }
    };
    const write = (condition: Condition) => this.#ask(`complete ${upload.key}`, () => attempt(condition));
    const asOurs = async (object: ObjectHead) => {
      const ours = objectMadeOf(object, parts);
      // It was made of an earlier upload, so this one stays unfinished; that it stays is no reason not to go on.
      if (ours) await abortUpload(this.#bucket, upload).catch(ignore);
      return ours;
    };
    return unlessTaken(this.#bucket, upload.key, replaces, write, asOurs);
  }

  /** The object under a key, if it is the one that these parts make. */
  async findMadeOf(key: string, parts: readonly StoredPart[]): Promise<StoredObject | undefined> {
    return objectMadeOf(await headObject(this.#bucket, key), parts);
  }

  /** The parts that the server has of an upload, by number; undefined when it does not know the upload. */
  async listParts(upload: MultipartUpload): Promise<ReadonlyMap<number, ListedPart> | undefined> {
    const place = { Bucket: this.#bucket.name, Key: upload.key, UploadId: upload.uploadId };
    const what = `list the parts of ${upload.key}`;
    const parts = new Map<number, ListedPart>();
    try {
      // Not the SDK's paginator: it goes on for ever, because S3 gives a marker on the last page too
      // (https://github.com/awslabs/aws-sdk-rust/issues/1143 tells of the same in another SDK).
      const ask = (before: ListPartsCommandOutput | undefined) => {
        const command = new ListPartsCommand({ ...place, PartNumberMarker: before?.NextPartNumberMarker });
        return this.#bucket.retrier.run(
          what,
          () => this.#bucket.client.send(command, { abortSignal: this.#signal }),
          this.#signal,
        );
      };
      for await (const page of pagesOf(what, ask, (listed) => listed.NextPartNumberMarker)) {
        for (const { PartNumber, Size, ETag } of page.Parts ?? []) {
          if (PartNumber !== undefined) parts.set(PartNumber, { sizeBytes: Size ?? 0, etag: ETag ?? '' });
        }
      }
    } catch (error) {
      if (isUnknownUpload(error)) return undefined;
      throw explain(this.#bucket, what, error);
    }
    return parts;
  }

  /** True when the bucket has an object as it was stored: size and ETag. */
  async has(stored: {
    readonly key: string;
    readonly size: number;
    readonly etag: string;
  }): Promise<boolean> {
    const head = await headObject(this.#bucket, stored.key);
    return head?.sizeBytes === stored.size && (stored.etag === '' || head.etag === stored.etag);
  }

  async #send(
    what: string,
    body: PartBody,
    makeCommand: (
      payload: ReturnType<typeof requestPayload> & { ContentMD5?: string },
      spoiltEtag: string | undefined,
    ) => Command,
  ): Promise<StoredObject> {
    /** What an attempt stored, if its bytes were not those that were sent. */
    let spoiltEtag: string | undefined;
    const attempt = async (): Promise<StoredObject> => {
      let sent = 0;
      const payload = requestPayload(body, (bytes) => {
        sent += bytes;
        this.#events.onSent(bytes);
      });
      const withMd5 = this.#needsMd5;
      const md5 = withMd5 && { ContentMD5: await body.md5() };
      const command = makeCommand({ ...payload, ...md5 }, spoiltEtag);
      presetPayloadHash(command, body.sha256);
      try {
        const answer = await this.#sendOnce(command);
        spoiltEtag = answer.ETag;
        return await this.#verify(what, body, answer, withMd5);
      } catch (error) {
        this.#events.onSent(-sent);
        throw error;
      } finally {
        noteRequest();
      }
    };
    try {
      return await this.#bucket.retrier.transfer(what, attempt, this.#signal);
    } catch (error) {
      throw explain(this.#bucket, what, error);
    }
  }

  async #sendOnce(command: Command): Promise<PartAnswer> {
    const options = { abortSignal: this.#signal };
    return command instanceof PutObjectCommand
      ? this.#bucket.client.send(command, options)
      : this.#bucket.client.send(command, options);
  }

  /**
   * A server that does not repeat the checksum has not verified it: then the ETag must be the MD5 of what was sent,
   * unless that went along (`withMd5`) and was verified by the server.
   */
  async #verify(what: string, body: PartBody, answer: PartAnswer, withMd5: boolean): Promise<StoredObject> {
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

  async #ask<Result>(what: string, request: () => Promise<Result>): Promise<Result> {
    try {
      return await this.#bucket.retrier.run(what, request, this.#signal);
    } catch (error) {
      throw explain(this.#bucket, what, error);
    }
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
