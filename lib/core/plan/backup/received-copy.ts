/** Whether a received copy of a backup's snapshot can stand for it: the next stream is made against the copy, and applied to the backup. */
import { type Manifest, streamUuid } from '../../format/manifest.ts';
import type { SubvolumeState } from '../../stream/stream-head.ts';
import type { LocalSnapshot } from './backup-plan.ts';
import { HOW_CHANGED } from './changed-in-place.ts';

/** What is known of a copy beside what it says of itself. */
export interface CopyEvidence {
  /** Its state when a restore put it there, if that was written down. */
  readonly recordedTransid: number | undefined;
}

/**
 * Why a copy cannot stand for the snapshot of a backup, as a clause; `look` when only its files can tell whether it was changed since it was received;
 * undefined when nothing speaks against it.
 */
export function copyProblem(
  { snapshot }: Manifest,
  copy: LocalSnapshot,
  state: SubvolumeState,
  { recordedTransid }: CopyEvidence,
): { readonly problem: string } | 'look' | undefined {
  if (state.uuid !== streamUuid(snapshot)) {
    return { problem: 'is known to btrfs send by another UUID than when it was backed up' };
  }
  if (recordedTransid !== undefined) {
    return state.transid === recordedTransid
      ? undefined
      : { problem: `was changed after it was restored, ${HOW_CHANGED}` };
  }
  if (snapshot.transid === undefined) {
    return { problem: 'was received here, and its manifest does not record of which state' };
  }
  if (copy.sentTransid !== snapshot.transid) {
    return { problem: 'was received of another state than was backed up' };
  }
  return 'look';
}
