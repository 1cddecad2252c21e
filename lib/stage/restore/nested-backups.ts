/** Nested subvolumes, which no stream carries: which backups have those that a restored backup lacks. */
import type { Manifest } from '../../core/format/manifest.ts';
import { readableTimestamp } from '../../core/format/names.ts';
import { printable } from '../../core/printable.ts';
import { formatCount } from '../../core/units.ts';
import { backupsOfTheTime, newestOfEachName } from '../bucket/newest-of-names.ts';
import type { StageContext } from '../context.ts';

/** A nested subvolume, and the backup that has it: of the same subvolume by its UUID. */
export interface MissingSubvolume {
  /** Below the subvolume that was restored. */
  readonly path: string;
  readonly backup: { readonly subvolume: string; readonly created_at: string } | null;
}

/**
 * Finds where the nested subvolumes of a backup are backed up, if they are: by the newest backup of every name, and where one has been made anew
 * or restored since, by the backups of the same time.
 */
export async function findNestedBackups(
  { bucket }: StageContext,
  manifest: Manifest,
): Promise<readonly MissingSubvolume[]> {
  const { nested = [] } = manifest.snapshot;
  if (nested.length === 0) return [];
  const newest = await newestOfEachName(bucket);
  const bySource = new Map<string, Manifest>();
  const add = (read: Manifest, shown: Manifest) => {
    const { source_uuid: source } = read.snapshot;
    if (source && !bySource.has(source)) bySource.set(source, shown);
  };
  for (const each of newest) add(each, each);
  if (nested.some(({ uuid }) => !bySource.has(uuid))) {
    for (const each of await backupsOfTheTime(bucket, manifest))
      add(each, newest.find(({ subvolume }) => subvolume === each.subvolume) ?? each);
  }
  return nested.map(({ path, uuid }) => {
    const found = bySource.get(uuid);
    return { path, backup: found ? { subvolume: found.subvolume, created_at: found.created_at } : null };
  });
}

/**
 * A line for each, but only for the first of many.
 * @param besides names of subvolumes that are restored as well, and need no mention
 */
export function describeMissing(
  found: readonly MissingSubvolume[],
  besides: readonly string[] = [],
): readonly string[] {
  const missing = found.filter(({ backup }) => !backup || !besides.includes(backup.subvolume));
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
