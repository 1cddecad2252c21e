/**
 * What moves the state of a read-only snapshot, and what to do about it. Deduplication may share the extents of its files: their contents
 * and times stay, and its state moves as if they had been written to. Only times could tell the two apart, and a clock may have been wrong:
 * so such a snapshot is no parent any more.
 */

/** Follows the clause that says that a snapshot was changed. */
export const HOW_CHANGED =
  'by hand or by deduplication; to keep it out of snapshots, give bees --workaround-btrfs-send, and duperemove no directory of snapshots';
