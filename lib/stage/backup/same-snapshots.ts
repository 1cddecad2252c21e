/** That the snapshots of a planned backup are still where they were: other programs give their paths to new ones. */
import { ToolError } from '../../core/errors.ts';
import type { SnapshotFile } from '../../core/format/run-files.ts';
import { showSubvolume } from '../../edge/btrfs/btrfs.ts';
import { pathExists } from '../../edge/files/files.ts';

/**
 * Compares the UUIDs of snapshot and parent with those of the plan. What `btrfs send` makes of others is a stream that cannot be
 * received, and nobody would know before a restore. What is gone is not judged: `btrfs send` cannot open it.
 * @throws ToolError when a path leads to another subvolume than it did.
 */
export async function checkSameSnapshots({ snapshot, parent }: SnapshotFile): Promise<void> {
  for (const { path, uuid } of parent ? [snapshot, parent] : [snapshot]) {
    if (!(await pathExists(path)) || (await showSubvolume(path)).uuid === uuid) continue;
    throw new ToolError(`the snapshot ${path} was replaced after planning (UUID changed)`, {
      hint: 'run: make backup; it gives this one up and begins another',
    });
  }
}
