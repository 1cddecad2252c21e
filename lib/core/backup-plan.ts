/** Full or incremental, and against what: decided from the bucket and the snapshots that are here, by UUID. */
import type { Manifest } from './manifest.ts';
import { type BackupKind, parseSnapshotName, readableTimestamp } from './names.ts';

/** The subvolume that is backed up: of which the next snapshot to send is one. */
export interface BackupSource {
  /** Undefined for what was received in full, which is a snapshot of nothing here. */
  readonly uuid: string | undefined;
  readonly parentUuid: string | undefined;
  readonly hostName: string;
}

/** A read-only snapshot that is on this host. */
export interface LocalSnapshot {
  readonly path: string;
  readonly uuid: string;
  readonly parentUuid: string | undefined;
  readonly receivedUuid: string | undefined;
  readonly generation: number;
  readonly readOnly: boolean;
}

/** What the bucket says of a subvolume's last backup. */
export interface PublishedBackup {
  readonly manifestKey: string;
  readonly manifest: Manifest;
}

export interface BackupPlan {
  readonly kind: BackupKind;
  /** Only for an incremental backup. */
  readonly parent: (LocalSnapshot & { readonly manifestKey: string }) | undefined;
  /** One clause that says why, for the user. */
  readonly reason: string;
}

/** A request that cannot be met; the text says why. */
export interface ImpossiblePlan {
  readonly impossible: string;
}

/** What the bucket says of the last backup: it, that there is none, or why it cannot be read. */
export type LastBackup = PublishedBackup | { readonly unreadable: string } | undefined;

/**
 * Plans one backup. `auto` is incremental whenever the snapshot of the last published backup is still here and is one
 * of the same subvolume: `btrfs send -p` does not look, and a stream between strangers cannot be received.
 * Local state other than snapshots plays no part, so losing it never forces a full backup.
 */
export function planBackup(
  requested: BackupKind | 'auto',
  source: BackupSource,
  last: LastBackup,
  snapshots: readonly LocalSnapshot[],
): BackupPlan | ImpossiblePlan {
  if (requested === 'full') return full('asked for with KIND=full');
  const otherwise = (reason: string) => (requested === 'auto' ? full(reason) : { impossible: reason });
  if (!last) return otherwise('there is no backup in the bucket yet');
  if ('unreadable' in last) return otherwise(last.unreadable);
  const { manifest, manifestKey } = last;
  const { uuid } = manifest.snapshot;
  const name = nameForPeople(manifest);
  if (uuid === null) return otherwise(`the last backup does not record the UUID of its snapshot ${name}`);
  const parent = snapshots.find((snapshot) => snapshot.uuid === uuid);
  if (!parent && manifest.host !== undefined && manifest.host !== source.hostName) {
    const whose = `the last backup under this prefix is of host ${manifest.host}, and its snapshot is not here`;
    return { impossible: `${whose}; give each host its own S3_PREFIX, or take this one over with KIND=full` };
  }
  if (!parent) return otherwise(`parent snapshot ${name} is gone`);
  if (!parent.readOnly) return otherwise(`parent snapshot ${name} is no longer read-only`);
  if (!isOfSameSubvolume(source, parent)) {
    return otherwise(`the subvolume is not the one of parent snapshot ${name}`);
  }
  const reason = `on the ${manifest.kind} of ${readableTimestamp(manifest.created_at)}`;
  return { kind: 'incremental', parent: { ...parent, manifestKey }, reason };
}

/** A parent is of the subvolume that is backed up, or what that was rolled back to, or (as `btrfs receive` does it) made from. */
function isOfSameSubvolume({ uuid, parentUuid }: BackupSource, parent: LocalSnapshot): boolean {
  const isSibling = uuid !== undefined && parent.parentUuid === uuid;
  return isSibling || parentUuid === parent.uuid || uuid === parent.uuid;
}

/** Every snapshot of snapper's is called `snapshot`: only its path tells which one it is. */
function nameForPeople({ subvolume, snapshot: { name, path } }: Manifest): string {
  return parseSnapshotName(subvolume, name) ? name : path;
}

function full(reason: string): BackupPlan {
  return { kind: 'full', parent: undefined, reason };
}
