/** The names that people's buckets and disks depend on: timestamps, object keys, snapshot names. */

export type BackupKind = 'full' | 'incremental';

const timestampPattern = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/;

/** `YYYYMMDDTHHMMSSZ` in UTC. */
export function formatTimestamp(date: Date): string {
  return date.toISOString().replace(/[-:]|\.\d{3}/g, '');
}

/** A timestamp for people, in a form that AT= takes as well: `2026-11-24T18:30:00Z`. */
export function readableTimestamp(timestamp: string): string {
  const date = parseTimestamp(timestamp);
  return date ? readableTime(date) : timestamp;
}

/** The same for a moment; parts of a second are left out. */
export function readableTime(date: Date): string {
  return date.toISOString().replace(/\.\d{3}/, '');
}

/** The moment that a timestamp `YYYYMMDDTHHMMSSZ` names; undefined when it is not one (month 13, 25 o'clock …). */
export function parseTimestamp(text: string): Date | undefined {
  const match = timestampPattern.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(date.getTime()) || formatTimestamp(date) !== text ? undefined : date;
}

/**
 * The moment that AT= names: a timestamp as in the keys, or a date with an optional time (ISO 8601, UTC unless it
 * carries an offset). A date alone means its last second, so that it includes the backups of that day.
 */
export function parsePointInTime(text: string): Date | undefined {
  const timestamp = parseTimestamp(text);
  if (timestamp) return timestamp;
  const match = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(
    text.trim(),
  );
  if (!match) return undefined;
  const [, day, time = '23:59:59', offset = 'Z'] = match;
  // Date moves 30 February to March; such a day is a mistake.
  const midnight = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(`${day}T`)) return undefined;
  const date = new Date(`${day}T${time}${offset}`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** True for a subvolume name that is safe in keys and paths: `[A-Za-z0-9._-]+`, but not `.` or `..`. */
export function isSubvolumeName(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,200}$/.test(text) && text !== '.' && text !== '..';
}

/** The keys of one subvolume's objects under a prefix. */
export class SubvolumeKeys {
  readonly root: string;

  constructor(prefix: string, subvolume: string) {
    this.root = `${subvolumesRoot(prefix)}${subvolume}/`;
  }

  /** Key of a chunk; `index` counts from 0. */
  chunk(kind: BackupKind, timestamp: string, index: number): string {
    return `${this.chunks(kind, timestamp)}${String(index).padStart(5, '0')}.bin`;
  }

  /** What the keys of all chunks of one backup begin with. */
  chunks(kind: BackupKind, timestamp: string): string {
    return `${this.root}${kind}/chunk-${timestamp}-`;
  }

  manifest(kind: BackupKind, timestamp: string): string {
    return `${this.root}${kind}/manifest-${timestamp}.json`;
  }

  /** Key of the signature of a manifest. */
  signature(kind: BackupKind, timestamp: string): string {
    return signatureKeyOf(this.manifest(kind, timestamp));
  }

  get current(): string {
    return `${this.root}current.json`;
  }
}

/** Key of the signature of the manifest at a key. */
export function signatureKeyOf(manifestKey: string): string {
  return `${manifestKey}.sig`;
}

/** Where all subvolumes of a prefix live. */
export function subvolumesRoot(prefix: string): string {
  return `${prefix}/subvol/`;
}

/** Key of the text that says how to recover by hand. */
export function recoveryTextKey(prefix: string): string {
  return `${prefix}/RESTORE.txt`;
}

/** Key of the script that recovers without this tool. */
export function recoverScriptKey(prefix: string): string {
  return `${prefix}/recover.sh`;
}

/** What the keys of all drills of a subvolume begin with. */
export function drillsRoot(prefix: string, subvolume: string): string {
  return `${prefix}/drill/${subvolume}/`;
}

/** Key of what a drill found that began at a time. */
export function drillKey(prefix: string, subvolume: string, timestamp: string): string {
  return `${drillsRoot(prefix, subvolume)}${timestamp}.json`;
}

/** What a key under a prefix is, or undefined when it is none of ours. */
export type KnownKey =
  | {
      readonly type: 'manifest';
      readonly subvolume: string;
      readonly kind: BackupKind;
      readonly timestamp: string;
    }
  | {
      readonly type: 'chunk';
      readonly subvolume: string;
      readonly kind: BackupKind;
      readonly timestamp: string;
      readonly index: number;
    }
  | {
      /** The index of a backup's files, or the signature of its manifest: they stand beside its manifest. */
      readonly type: 'index' | 'signature';
      readonly subvolume: string;
      readonly kind: BackupKind;
      readonly timestamp: string;
    }
  | { readonly type: 'current'; readonly subvolume: string };

/**
 * Reads a key back into what it names; foreign keys and keys outside the prefix give undefined. Chunk numbers may be
 * unpadded, as the Python tool `btrfs_to_s3` writes them.
 */
export function parseKey(prefix: string, key: string): KnownKey | undefined {
  const root = subvolumesRoot(prefix);
  if (!key.startsWith(root)) return undefined;
  const [subvolume = '', folder = '', file, ...rest] = key.slice(root.length).split('/');
  if (rest.length > 0 || !isSubvolumeName(subvolume)) return undefined;
  if (folder === 'current.json' && file === undefined) return { type: 'current', subvolume };
  if (folder !== 'full' && folder !== 'incremental') return undefined;
  const match =
    /^(manifest|index|chunk)-(\w{16})(?:-(\d{1,8}))?\.(json|json\.sig|ndjson\.zst(?:\.age)?|bin)$/.exec(
      file ?? '',
    );
  const [, type, timestamp = '', index, ending] = match ?? [];
  if (!parseTimestamp(timestamp)) return undefined;
  const isNumbered = index !== undefined;
  if (type === 'chunk' && ending === 'bin' && isNumbered) {
    return { type, subvolume, kind: folder, timestamp, index: Number(index) };
  }
  if (type === 'manifest' && ending === 'json' && !isNumbered) {
    return { type, subvolume, kind: folder, timestamp };
  }
  if (type === 'manifest' && ending === 'json.sig' && !isNumbered) {
    return { type: 'signature', subvolume, kind: folder, timestamp };
  }
  if (type === 'index' && ending?.startsWith('ndjson.zst') && !isNumbered) {
    return { type, subvolume, kind: folder, timestamp };
  }
  return undefined;
}

/** Key of the manifest of the backup that an object is part of, whether there is one or not; undefined for other keys. */
export function manifestKeyOf(prefix: string, key: string): string | undefined {
  const parsed = parseKey(prefix, key);
  if (!parsed || parsed.type === 'current') return undefined;
  return new SubvolumeKeys(prefix, parsed.subvolume).manifest(parsed.kind, parsed.timestamp);
}

/**
 * The prefixes of the hosts that have backups among some keys: the prefix itself, and those below it (`fleet/host-1` below
 * `fleet`). The empty prefix stands for the whole bucket.
 */
export function hostPrefixes(prefix: string, keys: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const key of keys) {
    for (let at = key.indexOf('/subvol/'); at !== -1; at = key.indexOf('/subvol/', at + 1)) {
      const host = key.slice(0, at);
      const isBelow = prefix === '' || host === prefix || host.startsWith(`${prefix}/`);
      if (isBelow && parseKey(host, key)) found.add(host);
    }
  }
  return [...found].sort();
}

/** Name of a local snapshot. It is inside the send stream, so it never changes afterwards. */
export function snapshotName(subvolume: string, timestamp: string, kind: BackupKind): string {
  return `${subvolume}__${timestamp}__${kind === 'full' ? 'full' : 'inc'}`;
}

/**
 * Name of the copy of a backup's snapshot that a restore leaves for the next backup to build on; `count` is 0 unless that is taken, as on
 * the host that has the snapshot itself.
 */
export function restoredSnapshotName(
  subvolume: string,
  timestamp: string,
  kind: BackupKind,
  count: number,
): string {
  const name = snapshotName(subvolume, timestamp, kind);
  return count === 0 ? name : `${name}__restored${count === 1 ? '' : `-${count}`}`;
}

/** True for a name that ends as those of local snapshots do, of whatever subvolume. */
export function endsAsSnapshotName(name: string): boolean {
  return /__\w{16}__(full|inc)(__restored(-\d+)?)?$/.test(name);
}

/** Reads a local snapshot's name back; undefined when it is not one of this subvolume's. */
export function parseSnapshotName(
  subvolume: string,
  name: string,
): { readonly timestamp: string; readonly kind: BackupKind } | undefined {
  if (!name.startsWith(`${subvolume}__`)) return undefined;
  const match = /^(\w{16})__(full|inc)(?:__restored(?:-\d+)?)?$/.exec(name.slice(subvolume.length + 2));
  if (!match?.[1] || !parseTimestamp(match[1])) return undefined;
  return { timestamp: match[1], kind: match[2] === 'full' ? 'full' : 'incremental' };
}
