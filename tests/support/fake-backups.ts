/** Backups that are whole to anybody who looks and hold no stream: for tests of what is done with backups as objects. */
import { createHash } from 'node:crypto';
import { PutObjectCommand, type StorageClass } from '@aws-sdk/client-s3';
import { type Manifest, serialiseDocument } from '../../lib/core/format/manifest.ts';
import { SubvolumeKeys, snapshotName } from '../../lib/core/format/names.ts';
import type { Bucket } from '../../lib/edge/s3/s3-client.ts';

/** A backup that was put into a bucket. */
export interface FakeBackup {
  readonly key: string;
  readonly manifest: Manifest;
}

export interface FakeBackupOptions {
  readonly subvolume?: string;
  /** Of January 2026. */
  readonly day: number;
  /** What it builds on; a full backup without. */
  readonly parent?: FakeBackup;
  readonly storageClass?: StorageClass;
  /** Chunks, of 1,000 bytes each. */
  readonly chunks?: number;
}

/** Writes one object. */
export async function put(
  bucket: Bucket,
  key: string,
  body: string,
  storageClass: StorageClass = 'STANDARD',
): Promise<void> {
  const request = { Bucket: bucket.name, Key: key, Body: body, StorageClass: storageClass };
  await bucket.client.send(new PutObjectCommand(request));
}

/** Chunks as a run that never came to its end leaves them. */
export async function putChunks(bucket: Bucket, options: FakeBackupOptions): Promise<Manifest['chunks']> {
  const { subvolume = 'data', parent, chunks = 2, storageClass } = options;
  const keys = new SubvolumeKeys(bucket.prefix, subvolume);
  const body = 'x'.repeat(1000);
  const stored: Manifest['chunks'] = [];
  for (let index = 0; index < chunks; index++) {
    const key = keys.chunk(parent ? 'incremental' : 'full', timestampOf(options), index);
    await put(bucket, key, body, storageClass);
    stored.push({ key, size: 1000, sha256: createHash('sha256').update(body).digest('hex') });
  }
  return stored;
}

/** Puts chunks, manifest and pointer. */
export async function publish(bucket: Bucket, options: FakeBackupOptions): Promise<FakeBackup> {
  const { subvolume = 'data', day, parent } = options;
  const kind = parent ? 'incremental' : 'full';
  const createdAt = timestampOf(options);
  const keys = new SubvolumeKeys(bucket.prefix, subvolume);
  const chunks = await putChunks(bucket, options);
  const name = snapshotName(subvolume, createdAt, kind);
  const manifest: Manifest = {
    version: 1,
    subvolume,
    kind,
    created_at: createdAt,
    snapshot: {
      name,
      path: `/snapshots/${name}`,
      uuid: `3a87e00f-d2f7-b845-9885-${String(day).padStart(12, '0')}`,
      parent_uuid: parent?.manifest.snapshot.uuid ?? null,
    },
    parent_manifest: parent?.key ?? null,
    chunks,
    total_bytes: chunks.length * 1000,
    chunk_size: 1000,
    s3: {},
  };
  const key = keys.manifest(kind, createdAt);
  await put(bucket, key, serialiseDocument(manifest));
  const pointer = { manifest_key: key, kind, created_at: createdAt } as const;
  await put(bucket, keys.current, serialiseDocument(pointer));
  return { key, manifest };
}

/** A full backup and incremental ones on it, of days in a row; the last is the one that current.json names. */
export async function publishGeneration(
  bucket: Bucket,
  { day, backups, ...rest }: FakeBackupOptions & { readonly backups: number },
): Promise<readonly FakeBackup[]> {
  const chain: FakeBackup[] = [];
  for (let at = 0; at < backups; at++) {
    const parent = chain.at(-1);
    chain.push(await publish(bucket, { ...rest, day: day + at, ...(parent && { parent }) }));
  }
  return chain;
}

function timestampOf({ day }: FakeBackupOptions): string {
  return `202601${String(day).padStart(2, '0')}T020000Z`;
}
