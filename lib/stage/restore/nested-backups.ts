/** Nested subvolumes, which no stream carries: which backups have those that a restored backup lacks. */
import pMap from 'p-map';
import { ToolError } from '../../core/errors.ts';
import type { Manifest } from '../../core/format/manifest.ts';
import { readableTimestamp } from '../../core/format/names.ts';
import { printable } from '../../core/printable.ts';
import { formatCount } from '../../core/units.ts';
import { listEverything, REQUESTS_AT_ONCE, readManifest, readPointer } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';

/** A nested subvolume, and the backup that has it: of the same subvolume by its UUID. */
export interface MissingSubvolume {
  /** Below the subvolume that was restored. */
  readonly path: string;
  readonly backup: { readonly subvolume: string; readonly created_at: string } | null;
}

/** Finds where the nested subvolumes of a backup are backed up, if they are: asks for the newest backup of every name. */
export async function findNestedBackups(
  { bucket }: StageContext,
  { snapshot: { nested = [] } }: Manifest,
): Promise<readonly MissingSubvolume[]> {
  if (nested.length === 0) return [];
  const newest = async (name: string): Promise<readonly (readonly [string, Manifest])[]> => {
    try {
      const read = await readPointer(bucket, name);
      const manifest = read && (await readManifest(bucket, read.pointer.manifest_key));
      return manifest?.snapshot.source_uuid ? [[manifest.snapshot.source_uuid, manifest]] : [];
    } catch (error) {
      if (error instanceof ToolError && (error.kind === 'damage' || error.kind === 'thaw')) return [];
      throw error;
    }
  };
  const { names } = await listEverything(bucket);
  const bySource = new Map((await pMap(names, newest, { concurrency: REQUESTS_AT_ONCE })).flat());
  return nested.map(({ path, uuid }) => {
    const found = bySource.get(uuid);
    return { path, backup: found ? { subvolume: found.subvolume, created_at: found.created_at } : null };
  });
}

/** What is said of them, a line each, the first of many. */
export function describeMissing(missing: readonly MissingSubvolume[]): readonly string[] {
  const lines = missing.slice(0, mostLines).map(({ path, backup }) => {
    const where = backup
      ? `backed up as "${backup.subvolume}", last on ${readableTimestamp(backup.created_at)}`
      : 'in no backup under this prefix';
    return `not restored: the nested subvolume ${printable(path)} (${where})`;
  });
  const others = missing.length - lines.length;
  return others > 0 ? [...lines, `not restored: ${formatCount(others, 'other nested subvolume')}`] : lines;
}

const mostLines = 10;
