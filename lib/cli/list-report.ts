/** What `list.ts` tells of each backup: a row for people, an object for programs. */
import { formatTimestamp, readableTimestamp } from '../core/names.ts';
import { formatSize } from '../core/units.ts';
import type { ListedBackup, Restorability } from '../stage/list.ts';
import { formatTable } from './table.ts';

/** The table of all backups. */
export function listTable(backups: readonly ListedBackup[]): string {
  const rows = backups.map((backup) => [
    `${backup.current ? '*' : ' '} ${backup.subvolume}`,
    readableTimestamp(backup.created_at),
    backup.kind,
    backup.problem ?? formatSize(backup.bytes),
    String(backup.chunks),
    backup.storage_class ?? '',
    restorableText(backup.restorability),
    backup.manifest_key,
  ]);
  return formatTable(
    ['  SUBVOLUME', 'TIME', 'KIND', 'SIZE', 'CHUNKS', 'CLASS', 'RESTORABLE', 'MANIFEST'],
    rows,
  );
}

/** A backup as it stands in the JSON document. */
export function listedJson({ restorability, ...backup }: ListedBackup): unknown {
  if ('whyNot' in restorability) {
    return { ...backup, restorable: 'no', why_not: restorability.whyNot, thaw: null };
  }
  const { doubt } = restorability;
  const { expiresAtMs, ...thaw } = restorability.thaw;
  const isNow = thaw.readable === thaw.objects;
  return {
    ...backup,
    restorable: doubt ? 'unsure' : isNow ? 'now' : thaw.cold > 0 ? 'after a thaw' : 'thawing',
    why_not: doubt ?? null,
    thaw: {
      objects: thaw.objects,
      readable: thaw.readable,
      thawing: thaw.thawing,
      cold: thaw.cold,
      expires_at: expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString(),
    },
  };
}

/** `now`, `until …`, `thaw first: 26 of 26`, `thawing: 3 of 26`, `unsure: …`, `no: …`: of the whole chain of a backup. */
export function restorableText(restorability: Restorability): string {
  if ('whyNot' in restorability) return `no: ${restorability.whyNot}`;
  if (restorability.doubt) return `unsure: ${restorability.doubt}`;
  const { objects, readable, cold, expiresAtMs } = restorability.thaw;
  if (cold > 0) return `thaw first: ${cold} of ${objects}`;
  if (readable < objects) return `thawing: ${readable} of ${objects}`;
  return expiresAtMs === undefined
    ? 'now'
    : `until ${readableTimestamp(formatTimestamp(new Date(expiresAtMs)))}`;
}
