/**
 * Buckets, objects and uploads: an index in memory over records on disk. A record is written before the index
 * changes and before old bytes go, so a server killed anywhere comes back with the old state or the new one.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from './blobs.ts';
import { S3Error } from './errors.ts';
import { KeyedLock } from './keyed-lock.ts';
import * as layout from './layout.ts';
import { type BucketConfiguration, type BucketState, type ObjectRecord, timestamp } from './records.ts';
import { blobIds, partBlobIds, recover } from './recovery.ts';

/** Looks at what is there under a key, with nobody else able to change it, and throws to refuse the change. */
export type Precondition = (existing: ObjectRecord | undefined) => void;

/** One data directory, opened. */
export class Store {
  readonly blobs: BlobStore;
  readonly #root: string;
  readonly #buckets: Map<string, BucketState>;
  readonly #lock = new KeyedLock();

  private constructor(root: string, buckets: Map<string, BucketState>, blobs: BlobStore) {
    this.#root = root;
    this.#buckets = buckets;
    this.blobs = blobs;
  }

  /** Opens a data directory, new or left by an earlier server. One server at a time may have it open. */
  static async open(root: string): Promise<Store> {
    const { buckets, referenced } = await recover(root);
    return new Store(root, buckets, await BlobStore.open(join(root, 'blobs'), referenced));
  }

  /** Every bucket, by name. */
  buckets(): BucketState[] {
    return [...this.#buckets.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** Whether a bucket of this name exists. */
  hasBucket(name: string): boolean {
    return this.#buckets.has(name);
  }

  /** A bucket's state. @throws S3Error NoSuchBucket */
  bucket(name: string): BucketState {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      throw new S3Error('NoSuchBucket', { elements: { BucketName: name } });
    }
    return bucket;
  }

  /** An object's record. @throws S3Error NoSuchBucket, NoSuchKey */
  object(bucketName: string, key: string): ObjectRecord {
    const object = this.bucket(bucketName).objects.get(key);
    if (object === undefined) {
      throw new S3Error('NoSuchKey', { elements: { Key: key } });
    }
    return object;
  }

  /** Makes a bucket; one that exists stays as it is. */
  async createBucket(name: string, configuration: BucketConfiguration = {}): Promise<void> {
    await this.#lock.run(`bucket ${name}`, async () => {
      if (!this.#buckets.has(name)) {
        const createdAt = timestamp();
        const record = { name, createdAt, configuration };
        await layout.writeRecord(layout.bucketPath(this.#root, name), record);
        this.#buckets.set(name, { ...record, objects: new Map(), uploads: new Map() });
      }
    });
  }

  /** Changes what is set on a bucket. @throws S3Error NoSuchBucket, or what `change` throws */
  async configureBucket(
    name: string,
    change: (configuration: BucketConfiguration) => BucketConfiguration,
  ): Promise<void> {
    await this.#lock.run(`bucket ${name}`, async () => {
      const bucket = this.bucket(name);
      const configuration = change(bucket.configuration);
      const { createdAt } = bucket;
      await layout.writeRecord(layout.bucketPath(this.#root, name), { name, createdAt, configuration });
      bucket.configuration = configuration;
    });
  }

  /** Removes an empty bucket with its unfinished uploads. @throws S3Error NoSuchBucket, BucketNotEmpty */
  async deleteBucket(name: string): Promise<void> {
    await this.#lock.run(`bucket ${name}`, async () => {
      const bucket = this.bucket(name);
      if (bucket.objects.size > 0) {
        throw new S3Error('BucketNotEmpty', { elements: { BucketName: name } });
      }
      this.#buckets.delete(name);
      await rm(layout.bucketDirectory(this.#root, name), { recursive: true, force: true });
      for (const upload of bucket.uploads.values()) {
        await this.blobs.remove(partBlobIds(upload));
      }
    });
  }

  /**
   * Puts an object under its key in one step.
   * @throws S3Error NoSuchBucket, or what the precondition throws; the record's blobs are then the caller's to remove
   */
  async putObject(bucketName: string, object: ObjectRecord, precondition: Precondition): Promise<void> {
    await this.#lock.run(`object ${bucketName}/${object.key}`, async () => {
      const bucket = this.bucket(bucketName);
      const existing = bucket.objects.get(object.key);
      precondition(existing);
      await layout.writeRecord(layout.objectPath(this.#root, bucketName, object.key), object);
      bucket.objects.set(object.key, object);
      const kept = new Set(blobIds(object));
      await this.blobs.remove(blobIds(existing).filter((id) => !kept.has(id)));
    });
  }

  /** Changes the record of an object that is there; its bytes stay. @throws S3Error NoSuchKey, or what `change` throws */
  async updateObject(
    bucketName: string,
    key: string,
    change: (object: ObjectRecord) => ObjectRecord,
  ): Promise<void> {
    await this.#lock.run(`object ${bucketName}/${key}`, async () => {
      const object = change(this.object(bucketName, key));
      await layout.writeRecord(layout.objectPath(this.#root, bucketName, key), object);
      this.bucket(bucketName).objects.set(key, object);
    });
  }

  /** Removes an object; one that is not there is no error. @throws S3Error NoSuchBucket, or the precondition's */
  async deleteObject(bucketName: string, key: string, precondition: Precondition): Promise<void> {
    await this.#lock.run(`object ${bucketName}/${key}`, async () => {
      const bucket = this.bucket(bucketName);
      const existing = bucket.objects.get(key);
      precondition(existing);
      await rm(layout.objectPath(this.#root, bucketName, key), { force: true });
      bucket.objects.delete(key);
      await this.blobs.remove(blobIds(existing));
    });
  }
}
