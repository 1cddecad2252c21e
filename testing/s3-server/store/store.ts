/**
 * Buckets, objects and uploads: an index in memory over records on disk. A record is written before the index
 * changes and before old bytes go, so a server killed anywhere comes back with the old state or the new one.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { S3Error } from '../http/errors.ts';
import { BlobStore } from './blobs.ts';
import { KeyedLock } from './keyed-lock.ts';
import * as layout from './layout.ts';
import {
  type BucketConfiguration,
  type BucketState,
  type DeleteMarker,
  emptyBucket,
  type ObjectRecord,
  timestamp,
  type Version,
} from './records.ts';
import { blobIds, partBlobIds, recover } from './recovery.ts';
import { findVersion, nextVersion, requireObject, setVersions, versionsOf } from './versions.ts';

/** Looks at what is there under a key, while no one else can change it, and throws to refuse the change. */
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

  /** An object's record, or that of one version. @throws S3Error NoSuchBucket, and as requireObject */
  object(bucketName: string, key: string, versionId?: string): ObjectRecord {
    return requireObject(this.bucket(bucketName), key, versionId);
  }

  /** Makes a bucket; one that exists is unchanged. */
  async createBucket(name: string, configuration: BucketConfiguration = {}): Promise<void> {
    await this.#lock.run(`bucket ${name}`, async () => {
      if (!this.#buckets.has(name)) {
        const createdAt = timestamp();
        const record = { name, createdAt, configuration };
        await layout.writeRecord(layout.bucketPath(this.#root, name), record);
        this.#buckets.set(name, emptyBucket(record));
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
      if (bucket.objects.size > 0 || bucket.versions.size > 0) {
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
   * Puts an object under its key in one step: beside what was there in a bucket with versioning, else in its place.
   * @returns the record as it is kept, with its version
   * @throws S3Error NoSuchBucket, or what the precondition throws; the record's blobs are then the caller's to remove
   */
  async putObject(
    bucketName: string,
    object: ObjectRecord,
    precondition: Precondition,
  ): Promise<ObjectRecord> {
    return await this.#lock.run(`object ${bucketName}/${object.key}`, async () => {
      const bucket = this.bucket(bucketName);
      const existing = bucket.objects.get(object.key);
      precondition(existing);
      if (bucket.configuration.versioning !== undefined) {
        const version = { ...object, ...nextVersion(bucket, object.key) };
        await this.#add(bucket, version);
        return version;
      }
      await layout.writeRecord(layout.versionPath(this.#root, bucketName, object), object);
      bucket.objects.set(object.key, object);
      const kept = new Set(blobIds(object));
      await this.blobs.remove(blobIds(existing).filter((id) => !kept.has(id)));
      return object;
    });
  }

  /** Changes the record of a version that is there; its bytes stay. @throws S3Error as `object`, or what `change` throws */
  async updateObject(
    bucketName: string,
    key: string,
    versionId: string | undefined,
    change: (object: ObjectRecord) => ObjectRecord,
  ): Promise<void> {
    await this.#lock.run(`object ${bucketName}/${key}`, async () => {
      const bucket = this.bucket(bucketName);
      const before = requireObject(bucket, key, versionId);
      const object = change(before);
      await layout.writeRecord(layout.versionPath(this.#root, bucketName, object), object);
      if (bucket.versions.has(key)) {
        const versions = versionsOf(bucket, key);
        setVersions(
          bucket,
          key,
          versions.map((version) => (version === before ? object : version)),
        );
      } else {
        bucket.objects.set(key, object);
      }
    });
  }

  /**
   * Removes an object, or hides it under a delete marker in a bucket with versioning; one that is not there is no error.
   * @returns the marker, if one was made
   * @throws S3Error NoSuchBucket, or the precondition's
   */
  async deleteObject(
    bucketName: string,
    key: string,
    precondition: Precondition,
  ): Promise<DeleteMarker | undefined> {
    return await this.#lock.run(`object ${bucketName}/${key}`, async () => {
      const bucket = this.bucket(bucketName);
      const existing = bucket.objects.get(key);
      precondition(existing);
      if (bucket.configuration.versioning !== undefined) {
        const marker = {
          key,
          deleteMarker: true as const,
          lastModified: timestamp(),
          ...nextVersion(bucket, key),
        };
        await this.#add(bucket, marker);
        return marker;
      }
      if (existing !== undefined) {
        await this.#remove(bucket, existing);
      }
      return undefined;
    });
  }

  /**
   * Removes one version for good; one that is not there is no error.
   * @param guard throws to keep the version
   * @returns the version that was removed
   */
  async deleteVersion(
    bucketName: string,
    key: string,
    versionId: string,
    guard: (version: Version) => void,
  ): Promise<Version | undefined> {
    return await this.#lock.run(`object ${bucketName}/${key}`, async () => {
      const bucket = this.bucket(bucketName);
      const version = findVersion(bucket, key, versionId);
      if (version !== undefined) {
        guard(version);
        await this.#remove(bucket, version);
      }
      return version;
    });
  }

  async #add(bucket: BucketState, version: Version): Promise<void> {
    await layout.writeRecord(layout.versionPath(this.#root, bucket.name, version), version);
    setVersions(bucket, version.key, [version, ...versionsOf(bucket, version.key)]);
  }

  async #remove(bucket: BucketState, version: Version): Promise<void> {
    await rm(layout.versionPath(this.#root, bucket.name, version), { force: true });
    const others = versionsOf(bucket, version.key).filter((each) => each !== version);
    setVersions(bucket, version.key, others);
    await this.blobs.remove(blobIds(version));
  }
}
