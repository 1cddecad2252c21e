/** Full or incremental, and against what: decided from the bucket and the snapshots that are here, by UUID and state. */
import { type Manifest, type StoredManifest, streamUuid } from '../../format/manifest.ts';
import { type BackupKind, parseSnapshotName, readableTimestamp } from '../../format/names.ts';
import type { SubvolumeState } from '../../stream/stream-head.ts';
import { HOW_CHANGED } from './changed-in-place.ts';
import type { Relation } from './lineage.ts';

/** The subvolume that is backed up: of which the next snapshot to send is one. */
export interface BackupSource {
  /** Undefined for what was received in full, which is a snapshot of nothing here. */
  readonly uuid: string | undefined;
  /** The UUID that the next stream will carry; undefined for one of a snapshot that is still to be taken, and has its own. */
  readonly nextStreamUuid?: string | undefined;
}

/** A read-only snapshot that is on this host. */
export interface LocalSnapshot {
  readonly path: string;
  readonly uuid: string;
  readonly parentUuid: string | undefined;
  readonly receivedUuid: string | undefined;
  readonly generation: number;
  readonly settledTransid: number | undefined;
  /** Of what was received: the state that its stream named, and when receiving it ended, to the second. */
  readonly sentTransid: number | undefined;
  readonly receivedAt: Date | undefined;
  readonly readOnly: boolean;
}

/** What the bucket says of a subvolume's last backup. */
export interface PublishedBackup {
  readonly manifestKey: string;
  readonly manifest: Manifest;
  /** Its chain from the full backup on, or why that cannot be restored. */
  readonly chain:
    | {
        /** Where a manifest between is archived, the newest full backup before it. */
        readonly full: Pick<Manifest, 'created_at'>;
        readonly streamUuids: readonly string[];
        /** All of it, the full backup first; without what lies behind an archived manifest. */
        readonly members: readonly StoredManifest[];
        /** True where `members` lacks some, since a manifest is archived. */
        readonly isPartial?: boolean;
        /** Something of it that only its bytes can settle, such as a chunk that was replaced. */
        readonly doubt?: string | undefined;
        /** True where the backup itself has a signature. */
        readonly isSigned?: boolean;
      }
    | { readonly problem: string };
}

export interface BackupPlan {
  readonly kind: BackupKind;
  /** Only for an incremental backup. */
  readonly parent: PlannedParent | undefined;
  /** One clause that says why, for the user. */
  readonly reason: string;
}

/** The parent of an incremental backup, in the state in which it was backed up. */
export type PlannedParent = LocalSnapshot & {
  readonly manifestKey: string;
  readonly state: SubvolumeState;
  /** False where only a look at all inodes can tell whether a stream on it will be right. */
  readonly isProven: boolean;
  /** It is a copy of the backup's snapshot, which was restored or received. */
  readonly continued?: true;
};

/** A request that cannot be met; the text says why. */
export interface ImpossiblePlan {
  readonly impossible: string;
}

/** What the bucket says of the last backup: it, that there is none, or why it cannot be read. */
export type LastBackup = PublishedBackup | { readonly unreadable: string } | undefined;

/** The snapshot of the last backup, as it is here. */
export interface Candidate {
  readonly snapshot: LocalSnapshot;
  /** By now, as a stream would have it; undefined where it cannot be read. */
  readonly state: SubvolumeState | undefined;
  /** What the subvolume that is backed up has to do with it; undefined where that was not asked. */
  readonly relation: Relation | undefined;
  /** Where it is a copy that was restored or received: why it cannot stand for the snapshot, as a clause. */
  readonly copy?: { readonly problem: string | undefined } | undefined;
}

/**
 * Plans one backup. `auto` is incremental whenever the snapshot of the last published backup is still here as it was backed up, and
 * the subvolume comes from what that comes from: `btrfs send -p` does not look, and what it makes of others cannot be received.
 * Local state other than snapshots plays no part, so losing it never forces a full backup.
 * @param last the backup to build on
 * @param candidate undefined when neither its snapshot nor a copy of that is here.
 */
export function planBackup(
  requested: BackupKind | 'auto',
  source: BackupSource,
  last: LastBackup,
  candidate: Candidate | undefined,
): BackupPlan | ImpossiblePlan {
  if (requested === 'full') return full('asked for with KIND=full');
  const otherwise = (reason: string) => (requested === 'auto' ? full(reason) : { impossible: reason });
  if (!last) return otherwise('there is no backup in the bucket yet');
  if ('unreadable' in last) return otherwise(last.unreadable);
  const { manifest, manifestKey, chain } = last;
  if ('problem' in chain) return otherwise('the last backup cannot be restored');
  // Where the bytes are known to be right, as in a copy of the bucket, KIND=incremental continues the chain.
  if (chain.doubt !== undefined && requested === 'auto') {
    return full(`the chain may not be restorable: ${chain.doubt}`);
  }
  const name = nameForPeople(manifest);
  if (manifest.snapshot.uuid === null) {
    return otherwise(`the last backup does not record the UUID of its snapshot ${name}`);
  }
  if (!candidate) return otherwise(`parent snapshot ${name} is gone`);
  const { snapshot: parent, state, relation, copy } = candidate;
  if (!parent.readOnly) return otherwise(`parent snapshot ${name} is no longer read-only`);
  if (!state || !relation) return otherwise(`the state of parent snapshot ${name} cannot be read`);
  if (relation.is === 'none') {
    return otherwise(
      `the subvolume is not the one of parent snapshot ${name}: it was made anew, or received in full`,
    );
  }
  const change = copy ? copy.problem : changeSince(manifest, parent, state);
  if (change) return otherwise(`parent snapshot ${name} ${change}`);
  if (source.nextStreamUuid !== undefined && chain.streamUuids.includes(source.nextStreamUuid)) {
    return otherwise(
      `the next snapshot has the received UUID of one that its chain holds (${source.nextStreamUuid}), which btrfs receive would take for its parent`,
    );
  }
  const how = copy
    ? `, as it was restored to ${parent.path}`
    : relation.isRollback
      ? ', across a rollback'
      : '';
  return {
    kind: 'incremental',
    parent: {
      ...parent,
      manifestKey,
      state,
      isProven: relation.is === 'proven',
      ...(copy && { continued: true as const }),
    },
    reason: `on the ${manifest.kind} of ${readableTimestamp(manifest.created_at)}${how}`,
  };
}

/** The plan, or its impossibility, once the inodes of parent and source have shown that no increment is sure to be right. */
export function withoutParent(
  requested: BackupKind | 'auto',
  { manifest }: PublishedBackup,
  why: string,
): BackupPlan | ImpossiblePlan {
  const reason = `no increment on parent snapshot ${nameForPeople(manifest)} would be right: ${why}`;
  return requested === 'auto' ? full(reason) : { impossible: reason };
}

/**
 * What has become of a snapshot since it was backed up, as a clause; undefined when it is what it was. Older manifests do not record
 * its state: then it must not have changed since it was made.
 */
function changeSince(
  { snapshot }: Manifest,
  parent: LocalSnapshot,
  { uuid, transid }: SubvolumeState,
): string | undefined {
  if (uuid !== streamUuid(snapshot))
    return 'is known to btrfs send by another UUID than when it was backed up';
  if (snapshot.transid !== undefined) {
    return transid === snapshot.transid ? undefined : `was changed after it was backed up, ${HOW_CHANGED}`;
  }
  if (parent.generation === snapshot.generation) return undefined;
  if (parent.settledTransid !== undefined && transid <= parent.settledTransid) return undefined;
  return 'may have been changed after it was backed up: its manifest does not record its state';
}

/** Every snapshot of snapper's is called `snapshot`: only its path tells which one it is. */
function nameForPeople({ subvolume, snapshot: { name, path } }: Manifest): string {
  return parseSnapshotName(subvolume, name) ? name : path;
}

function full(reason: string): BackupPlan {
  return { kind: 'full', parent: undefined, reason };
}
