/** Full or incremental, and against what: decided from the bucket and the snapshots that are here, by UUID. */
import type { Manifest } from './manifest.ts';
import { type BackupKind, readableTimestamp } from './names.ts';

/** A read-only snapshot that is on this host. */
export interface LocalSnapshot {
  readonly path: string;
  readonly uuid: string;
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

/**
 * Plans one backup. `auto` is incremental whenever the snapshot of the last published backup is still here.
 * Local state other than snapshots plays no part, so losing it never forces a full backup.
 */
export function planBackup(
  requested: BackupKind | 'auto',
  published: PublishedBackup | undefined,
  snapshots: readonly LocalSnapshot[],
): BackupPlan | ImpossiblePlan {
  if (requested === 'full') return full('asked for with KIND=full');
  if (!published) {
    const reason = 'there is no backup in the bucket yet';
    return requested === 'auto'
      ? full(reason)
      : { impossible: `${reason}, so there is nothing to be incremental to` };
  }
  const { uuid, name } = published.manifest.snapshot;
  if (uuid === null) {
    const reason = `the last backup does not record the UUID of its snapshot ${name}`;
    return requested === 'auto' ? full(reason) : { impossible: reason };
  }
  const parent = snapshots.find((snapshot) => snapshot.uuid === uuid);
  if (parent?.readOnly) {
    return {
      kind: 'incremental',
      parent: { ...parent, manifestKey: published.manifestKey },
      reason: `on the ${published.manifest.kind} of ${readableTimestamp(published.manifest.created_at)}`,
    };
  }
  const reason = parent
    ? `parent snapshot ${name} is no longer read-only`
    : `parent snapshot ${name} is gone`;
  return requested === 'auto' ? full(reason) : { impossible: reason };
}

function full(reason: string): BackupPlan {
  return { kind: 'full', parent: undefined, reason };
}
