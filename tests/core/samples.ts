/** Realistic values that the tests of lib/core start from; each test changes what it is about. */

import type { Manifest, StoredManifest } from '../../lib/core/format/manifest.ts';
import { type BackupKind, SubvolumeKeys, snapshotName } from '../../lib/core/format/names.ts';
import type { LocalSnapshot } from '../../lib/core/plan/backup/backup-plan.ts';

export const prefix = 'home-server/btrfs';
export const subvolume = 'data';
export const keys = new SubvolumeKeys(prefix, subvolume);

/** The timestamp of day `day` of January 2026. */
export function dayStamp(day: number): string {
  return `202601${String(day).padStart(2, '0')}T020000Z`;
}

/** A UUID that is different for each number. */
export function uuidOf(number: number): string {
  return `3a87e00f-d2f7-b845-9885-${number.toString(16).padStart(12, '0')}`;
}

/** What `btrfs_to_s3`, the Python tool, writes for a full backup in two chunks. */
export function pythonManifest(): Record<string, unknown> {
  const created = '20260101T000000Z';
  return {
    version: 1,
    subvolume,
    kind: 'full',
    created_at: created,
    snapshot: {
      name: snapshotName(subvolume, created, 'full'),
      path: `/mnt/pool/.snapshots/${snapshotName(subvolume, created, 'full')}`,
      uuid: null,
      parent_uuid: null,
    },
    parent_manifest: null,
    chunks: [
      {
        key: `${keys.root}full/chunk-${created}-0.bin`,
        size: 1000,
        sha256: 'a'.repeat(64),
        etag: `"${'1'.repeat(32)}-2"`,
      },
      { key: `${keys.root}full/chunk-${created}-1.bin`, size: 24, sha256: 'b'.repeat(64), etag: null },
    ],
    total_bytes: 1024,
    chunk_size: 1000,
    s3: { storage_class: 'DEEP_ARCHIVE' },
  };
}

/** A backup of day `day`, with every optional field; incremental ones are on the backup of the day before. */
export function manifestOfDay(day: number, kind: BackupKind = day === 1 ? 'full' : 'incremental'): Manifest {
  const created = dayStamp(day);
  const name = snapshotName(subvolume, created, kind);
  const hash = `${'A'.repeat(43)}=`;
  return {
    version: 1,
    subvolume,
    kind,
    created_at: created,
    snapshot: {
      name,
      path: `/mnt/pool/.snapshots/${name}`,
      uuid: uuidOf(day),
      parent_uuid: kind === 'full' ? null : uuidOf(day - 1),
      generation: 100 + day,
      mtime: '1767319200.000000001',
      received_uuid: null,
    },
    parent_manifest: kind === 'full' ? null : keyOfDay(day - 1),
    chunks: [
      {
        key: keys.chunk(kind, created, 0),
        size: 2500,
        sha256: 'a'.repeat(64),
        etag: `"${'1'.repeat(32)}-3"`,
        part_size: 1000,
        parts: [hash, hash, hash],
        checksum: `${hash}-3`,
      },
      {
        key: keys.chunk(kind, created, 1),
        size: 500,
        sha256: 'b'.repeat(64),
        etag: `"${'2'.repeat(32)}-1"`,
        part_size: 1000,
        parts: [hash],
      },
    ],
    total_bytes: 3000,
    chunk_size: 2500,
    s3: { bucket: 'backups', region: 'eu-central-1', storage_class: 'DEEP_ARCHIVE', sse: 'AES256' },
    stream: { bytes: 3100, sha256: 'd'.repeat(64), protocol: 2, compressed_data: true },
    codec: { compress: 'none', encrypt: 'none' },
    host: 'nas',
    tool: { name: 'btrfs-to-s3', version: '0.1.0' },
    timing: { started_at: '2026-01-01T02:00:00Z', finished_at: '2026-01-01T03:00:00Z' },
  };
}

/** The subvolume of which all snapshots are. */
export const sourceUuid = uuidOf(99);

/** Key of the manifest of a day: the full backup is of day 1. */
export function keyOfDay(day: number): string {
  return keys.manifest(day === 1 ? 'full' : 'incremental', dayStamp(day));
}

/** A chain: the full backup of day 1 and an incremental one for each day after it, oldest first. */
export function chainOfDays(days: number): StoredManifest[] {
  return Array.from({ length: days }, (_, index) => ({
    key: keyOfDay(index + 1),
    manifest: manifestOfDay(index + 1),
  }));
}

/** The read-only snapshot of a day, as it is on the host. */
export function snapshotOfDay(day: number): LocalSnapshot {
  return {
    path: manifestOfDay(day).snapshot.path,
    uuid: uuidOf(day),
    parentUuid: sourceUuid,
    receivedUuid: undefined,
    generation: 100 + day,
    settledTransid: 100 + day,
    sentTransid: undefined,
    receivedAt: undefined,
    readOnly: true,
  };
}

/** A key of another subvolume under the same prefix. */
export const otherKey = (key: string) => `${prefix}/subvol/home/${key}`;

/** The pointer to the backup of day 2, and where it stands. */
export const pointer = { manifest_key: keyOfDay(2), kind: 'incremental', created_at: dayStamp(2) } as const;
export const pointerKey = keys.current;
