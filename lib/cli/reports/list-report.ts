/** What `list.ts` prints: a table for people, a document for programs, whose fields docs/json.md names. */
import { describeError } from '../../core/errors.ts';
import { formatTimestamp, readableTimestamp, SubvolumeKeys } from '../../core/format/names.ts';
import { type BackupCost, costBackups } from '../../core/prices/backup-costs.ts';
import { formatDollars } from '../../core/prices/costs.ts';
import type { RegionPrices } from '../../core/prices/price-file.ts';
import { formatSize } from '../../core/units.ts';
import type { ListedBackup, Restorability } from '../../stage/bucket/list.ts';
import type { ListedHost } from '../../stage/bucket/list-hosts.ts';
import { type Column, formatTable } from './table.ts';

/** What is printed: one or the other. */
interface Report {
  readonly text: string;
  readonly json: unknown;
}

/** Prices, where costs are asked for; `known` is undefined where there are none. */
export interface Costing {
  readonly known: RegionPrices | undefined;
}

/** The backups of one host, as text and as the document. @param width of the table, in characters */
export function listReport(
  bucket: string,
  { prefix, backups }: ListedHost,
  width = Number.POSITIVE_INFINITY,
  costing?: Costing,
): Report {
  const costs = costing && costBackups(backups, costing.known);
  const table = () => listTable(backups, width, costs);
  return {
    text: backups.length === 0 ? `no backups in ${bucket} under ${prefix}/` : table(),
    json: { bucket, prefix, backups: backups.map((backup) => listedJson(backup, costs)) },
  };
}

/** The backups of many hosts: a block and an element for each. @param hostPrefix empty for the whole bucket @param width as above */
export function hostsReport(
  bucket: string,
  hostPrefix: string,
  hosts: readonly ListedHost[],
  width = Number.POSITIVE_INFINITY,
  costing?: Costing,
): Report {
  const costsOf = (backups: readonly ListedBackup[]) => costing && costBackups(backups, costing.known);
  const blocks = hosts.map(({ prefix, backups, failure }) => {
    const nothing = failure ? `  cannot be listed: ${failure.message}` : '  no backups';
    return `${prefix}\n${backups.length === 0 ? nothing : listTable(backups, width, costsOf(backups))}`;
  });
  const where = hostPrefix === '' ? bucket : `${bucket} under ${hostPrefix}/`;
  return {
    text: hosts.length === 0 ? `no backups in ${where}` : blocks.join('\n\n'),
    json: {
      bucket,
      host_prefix: hostPrefix,
      hosts: hosts.map(({ prefix, backups, failure }) => ({
        prefix,
        backups: backups.map((backup) => listedJson(backup, costsOf(backups))),
        problem: failure ? describeError(failure) : null,
      })),
    },
  };
}

/** A line for each subvolume of which no backup is the last one: a restore does not know which to take. */
export function pointerProblems({ prefix, backups }: ListedHost): readonly string[] {
  const names = [...new Set(backups.map(({ subvolume }) => subvolume))];
  const lost = names.filter(
    (name) => !backups.some(({ subvolume, current }) => subvolume === name && current),
  );
  return lost.map(
    (name) =>
      `${new SubvolumeKeys(prefix, name).current} is missing, damaged or archived, or names no backup that is here: make restore needs AT= or MANIFEST=, and the next backup is a full one`,
  );
}

const columns: readonly Column[] = [
  '  SUBVOLUME',
  'TIME',
  { title: 'KIND', leaveOut: 1 },
  'SIZE',
  { title: 'CHUNKS', leaveOut: 3 },
  { title: 'CLASS', leaveOut: 2 },
  'RESTORABLE',
  { title: 'MANIFEST', leaveOut: 4 },
];

type Costs = ReadonlyMap<string, BackupCost> | undefined;

const costColumns = ['A MONTH', 'CHAIN A MONTH'];

function listTable(backups: readonly ListedBackup[], width: number, costs: Costs): string {
  const rows = backups.map((backup) => [
    `${backup.current ? '*' : ' '} ${backup.subvolume}`,
    readableTimestamp(backup.created_at),
    backup.kind,
    backup.problem ?? formatSize(backup.bytes),
    String(backup.chunks),
    backup.storage_class ?? '',
    ...(costs ? costCells(costs.get(backup.manifest_key)) : []),
    restorableText(backup.restorability),
    backup.manifest_key,
  ]);
  const before = columns.indexOf('RESTORABLE');
  return formatTable(costs ? columns.toSpliced(before, 0, ...costColumns) : columns, rows, width);
}

function costCells(cost: BackupCost | undefined): readonly string[] {
  return [cost?.own, cost?.chain].map((dollars) =>
    dollars === null || dollars === undefined ? 'not known' : formatDollars(dollars),
  );
}

/** A backup as it stands in the document: every field is there, null where it has no value. */
function listedJson({ restorability, ...listed }: ListedBackup, costs: Costs): unknown {
  const cost = costs?.get(listed.manifest_key);
  const backup = {
    ...listed,
    problem: listed.problem ?? null,
    dollars_per_month: cost?.own ?? null,
    chain_dollars_per_month: cost?.chain ?? null,
  };
  if ('whyNot' in restorability) {
    const { isArchived, whyNot: why_not } = restorability;
    return { ...backup, restorable: isArchived ? 'after a thaw' : 'no', why_not, thaw: null };
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

/** `now`, `until …`, `thaw first: 26 of 26`, `thaw first: its parent …`, `thawing: 3 of 26`, `unsure: …`, `no: …`: of the whole chain of a backup. */
export function restorableText(restorability: Restorability): string {
  if ('whyNot' in restorability) {
    return `${restorability.isArchived ? 'thaw first' : 'no'}: ${restorability.whyNot}`;
  }
  if (restorability.doubt) return `unsure: ${restorability.doubt}`;
  const { objects, readable, cold, expiresAtMs } = restorability.thaw;
  if (cold > 0) return `thaw first: ${cold} of ${objects}`;
  if (readable < objects) return `thawing: ${readable} of ${objects}`;
  return expiresAtMs === undefined
    ? 'now'
    : `until ${readableTimestamp(formatTimestamp(new Date(expiresAtMs)))}`;
}
