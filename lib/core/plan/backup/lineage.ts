/**
 * Whether one subvolume may be sent as an increment to another. `btrfs send -p` takes an inode for the same in both where its
 * number and its generation agree, the transaction in which it was made, and looks no further (fs/btrfs/send.c, changed_inode). So
 * only the transactions in which two branches of one origin were written distinguish them: what was written in both in the
 * same transaction may be mixed up, and is received wrong or not at all (measured with kernel 6.18).
 */

/** What the filesystem knows of a subvolume. */
export interface LineageSubvolume {
  /** Undefined for a top level that mkfs.btrfs before 4.16 made. */
  readonly uuid: string | undefined;
  /** UUID of what it was made from, whether that is still there or not; undefined for what was made empty, or from what has none. */
  readonly parentUuid: string | undefined;
  /** What has one and no parent was received in full. Undefined also where it is not known. */
  readonly receivedUuid?: string | undefined;
  /** Transaction in which it was made (`otransid`); what is written into it has a later one. 0 where it is not known. */
  readonly createdTransid: number;
}

/**
 * `proven`: no inode of one branch can be taken for one of the other. `unproven`: they may have a common origin, and only
 * their inodes can tell the rest. `none`: they have nothing in common.
 */
export interface Relation {
  readonly is: 'proven' | 'unproven' | 'none';
  /** The source comes from a state that is older than the parent: the subvolume was rolled back. */
  readonly isRollback: boolean;
  /** What lies between the source and what it has in common with the parent, nearest first. */
  readonly between: readonly LineageSubvolume[];
}

/**
 * Relates a subvolume that is sent, or of which the snapshot to send is taken, to the snapshot to build on.
 * @param parent in a state that is known: `transid` is that of its last change (`ctransid`).
 * @param known the subvolumes of the filesystem, by UUID.
 * @param asMade UUIDs of those into which nothing was written since they were made.
 */
export function relate(
  source: LineageSubvolume,
  parent: LineageSubvolume & { readonly transid: number },
  known: ReadonlyMap<string, LineageSubvolume>,
  asMade: ReadonlySet<string> = new Set(),
): Relation {
  const sourceLine = lineOf(source, known);
  const parentLine = lineOf(parent, known);
  const ofParent = new Set(namesOf(parentLine));
  const common = namesOf(sourceLine).find((uuid) => ofParent.has(uuid));
  if (common === undefined) {
    const isUnrelated = haveOtherOrigins(sourceLine, parentLine, parent.transid);
    return { is: isUnrelated ? 'none' : 'unproven', isRollback: false, between: [] };
  }
  const own = before(sourceLine, common);
  const parentsOwn = before(parentLine, common);
  // When each branch left what they have in common; undefined for the one that is it.
  const leftAt = own.at(-1)?.createdTransid;
  const parentLeftAt = parentsOwn.at(-1)?.createdTransid;
  const isRollback = leftAt !== undefined && parentLeftAt !== undefined && leftAt < parentLeftAt;
  /** The first transactions in which something may have been written that the source has and the parent has not. */
  const firstWrites = [
    ...own.flatMap(({ uuid, createdTransid }) =>
      uuid !== undefined && asMade.has(uuid) ? [] : [createdTransid + 1],
    ),
    ...(parentLeftAt !== undefined && !isRollback ? [parentLeftAt + 1] : []),
  ];
  const isProven = firstWrites.every((transid) => transid > parent.transid);
  return { is: isProven ? 'proven' : 'unproven', isRollback, between: own.slice(1) };
}

/** A subvolume and what it was made from, nearest first, as far as that is there. */
interface Line {
  readonly present: readonly LineageSubvolume[];
  /** UUID of the next, which is gone; undefined where the last that is present was made empty. */
  readonly gone: string | undefined;
}

function lineOf(first: LineageSubvolume, known: ReadonlyMap<string, LineageSubvolume>): Line {
  const present = new Map<string | undefined, LineageSubvolume>([[first.uuid, first]]);
  for (let at = first; ; ) {
    if (at.parentUuid === undefined) return { present: [...present.values()], gone: undefined };
    const next = known.get(at.parentUuid);
    if (!next || present.has(next.uuid)) return { present: [...present.values()], gone: at.parentUuid };
    present.set(next.uuid, next);
    at = next;
  }
}

function namesOf({ present, gone }: Line): readonly string[] {
  return [...present.map(({ uuid }) => uuid), gone].filter((uuid) => uuid !== undefined);
}

function before({ present }: Line, common: string): readonly LineageSubvolume[] {
  const at = present.findIndex(({ uuid }) => uuid === common);
  return at < 0 ? present : present.slice(0, at);
}

function haveOtherOrigins(source: Line, parent: Line, parentTransid: number): boolean {
  const origin = source.present.at(-1);
  if (source.gone !== undefined || origin === undefined) return false;
  if (parent.gone !== undefined) return origin.createdTransid > parentTransid;
  const [snapshot] = parent.present;
  return !(isOfUnknownOrigin(snapshot) && isOfUnknownOrigin(origin));
}

/**
 * Whether it may be a top level without a UUID, or a snapshot of that, which names no parent. What was made empty looks the same here; the
 * time at which its top directory was made distinguishes it.
 */
function isOfUnknownOrigin(subvolume: LineageSubvolume | undefined): boolean {
  return subvolume?.parentUuid === undefined && subvolume?.receivedUuid === undefined;
}
