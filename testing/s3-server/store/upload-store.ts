/** Multipart uploads in progress, over the same index and records as the store they end up in. */
import { rm } from 'node:fs/promises';
import { S3Error } from '../http/errors.ts';
import { KeyedLock } from './keyed-lock.ts';
import * as layout from './layout.ts';
import type { ObjectRecord, PartRecord, UploadRecord, UploadState } from './records.ts';
import { blobIds, partBlobIds } from './recovery.ts';
import type { Precondition, Store } from './store.ts';
import { isDeleteMarker, versionsOf } from './versions.ts';

/** How to complete an upload, or to answer for one that is complete. */
export interface Completion {
  assemble(upload: UploadState): Promise<ObjectRecord>;
  /** @throws S3Error when the request is not the one that made the object */
  repeat(done: ObjectRecord): void;
}

/** The uploads of one opened data directory. */
export class UploadStore {
  readonly #root: string;
  readonly #store: Store;
  readonly #lock = new KeyedLock();

  constructor(root: string, store: Store) {
    this.#root = root;
    this.#store = store;
  }

  /** An upload in progress under this key. @throws S3Error NoSuchBucket, NoSuchUpload */
  get(bucketName: string, key: string, uploadId: string): UploadState {
    const upload = this.#store.bucket(bucketName).uploads.get(uploadId);
    if (upload === undefined || upload.record.key !== key) {
      throw new S3Error('NoSuchUpload', { elements: { UploadId: uploadId } });
    }
    return upload;
  }

  /** Begins a multipart upload. @throws S3Error NoSuchBucket */
  async create(bucketName: string, record: UploadRecord): Promise<void> {
    const bucket = this.#store.bucket(bucketName);
    await layout.writeRecord(layout.uploadPath(this.#root, bucketName, record.uploadId), record);
    bucket.uploads.set(record.uploadId, { record, parts: new Map() });
  }

  /** Stores a part, in place of an earlier one of the same number. @throws S3Error NoSuchUpload when it ended meanwhile */
  async putPart(bucketName: string, key: string, uploadId: string, part: PartRecord): Promise<void> {
    await this.#lock.run(uploadId, async () => {
      const { parts } = this.get(bucketName, key, uploadId);
      await layout.writeRecord(layout.partPath(this.#root, bucketName, uploadId, part.number), part);
      const earlier = parts.get(part.number);
      parts.set(part.number, part);
      await this.#store.blobs.remove(earlier === undefined ? [] : [earlier.blob.id]);
    });
  }

  /**
   * Turns an upload into the object that `assemble` makes of it; parts it leaves out are dropped. For one that was
   * completed already, and whose object is there, `repeat` decides whether that object is the answer.
   * @throws S3Error NoSuchUpload, what `assemble` throws, what the precondition throws; the upload then stays
   */
  async complete(
    bucketName: string,
    key: string,
    uploadId: string,
    how: Completion,
    precondition: Precondition,
  ): Promise<ObjectRecord> {
    return await this.#lock.run(uploadId, async () => {
      const done = this.#completed(bucketName, key, uploadId);
      if (done !== undefined) {
        how.repeat(done);
        return done;
      }
      const upload = this.get(bucketName, key, uploadId);
      const object = await how.assemble(upload);
      const stored = await this.#store.putObject(bucketName, object, precondition);
      await this.#forget(bucketName, upload, new Set(blobIds(object)));
      return stored;
    });
  }

  /** Drops an upload and its parts. @throws S3Error NoSuchUpload */
  async abort(bucketName: string, key: string, uploadId: string): Promise<void> {
    await this.#lock.run(uploadId, async () => {
      await this.#forget(bucketName, this.get(bucketName, key, uploadId), new Set());
    });
  }

  #completed(bucketName: string, key: string, uploadId: string): ObjectRecord | undefined {
    const versions = versionsOf(this.#store.bucket(bucketName), key);
    return versions
      .flatMap((version) => (isDeleteMarker(version) ? [] : [version]))
      .find((object) => object.uploadId === uploadId);
  }

  async #forget(bucketName: string, upload: UploadState, kept: ReadonlySet<string>): Promise<void> {
    const { uploadId } = upload.record;
    this.#store.bucket(bucketName).uploads.delete(uploadId);
    await rm(layout.uploadDirectory(this.#root, bucketName, uploadId), { recursive: true, force: true });
    const ids = partBlobIds(upload);
    await this.#store.blobs.remove(ids.filter((id) => !kept.has(id)));
  }
}
