/** Every backup in the bucket, from the bucket alone. */
import pMap from 'p-map';
import { ToolError } from '../core/errors.ts';
import { findPointer, listManifests, REQUESTS_AT_ONCE, readManifest } from './backups.ts';
import type { StageContext } from './context.ts';

/** One backup; `problem` instead of numbers when its manifest cannot be used. */
export interface ListedBackup {
  readonly subvolume: string;
  readonly created_at: string;
  readonly kind: 'full' | 'incremental';
  readonly manifest_key: string;
  readonly parent_manifest: string | null;
  readonly bytes: number;
  readonly chunks: number;
  readonly storage_class: string | null;
  /** True for the backup that current.json names. */
  readonly current: boolean;
  readonly problem?: string;
}

/** Lists the backups of one subvolume or of all, oldest first within a subvolume. */
export async function listBackups(
  context: StageContext,
  subvolume?: string,
): Promise<readonly ListedBackup[]> {
  const { bucket } = context;
  const keys = await listManifests(bucket, subvolume);
  const names = [...new Set(keys.map((key) => key.subvolume))].sort();
  const pointers = await pMap(names, (name) => findPointer(bucket, name), { concurrency: REQUESTS_AT_ONCE });
  const current = new Set(
    pointers.map((read) => (read && 'pointer' in read ? read.pointer.manifest_key : undefined)),
  );
  const backups = await pMap(
    keys,
    async ({ key, subvolume: name, kind, timestamp }): Promise<ListedBackup> => {
      const known = {
        subvolume: name,
        created_at: timestamp,
        kind,
        manifest_key: key,
        current: current.has(key),
      };
      try {
        const manifest = await readManifest(bucket, key);
        return {
          ...known,
          parent_manifest: manifest.parent_manifest,
          bytes: manifest.total_bytes,
          chunks: manifest.chunks.length,
          storage_class: manifest.s3.storage_class ?? null,
        };
      } catch (error) {
        if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
        return {
          ...known,
          parent_manifest: null,
          bytes: 0,
          chunks: 0,
          storage_class: null,
          problem: error.problem,
        };
      }
    },
    { concurrency: REQUESTS_AT_ONCE },
  );
  return backups.sort((a, b) => (a.subvolume === b.subvolume ? 0 : a.subvolume < b.subvolume ? -1 : 1));
}
