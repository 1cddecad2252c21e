/** Checks that the snapshots of a planned backup are still where they were: other programs reuse paths. */
import { ToolError } from '../../../core/errors.ts';
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { showSubvolume } from '../../../edge/btrfs/btrfs.ts';
import { pathExists } from '../../../edge/files/files.ts';

/**
 * Compares the UUIDs of snapshot and parent with those of the plan. From others `btrfs send` would make a stream that cannot be
 * received, which only a restore would find. A missing one is not judged: `btrfs send` cannot open it.
 * @throws ToolError when a path leads to another subvolume than it did.
 */
export async function checkSameSnapshots({ snapshot, parent }: SnapshotFile): Promise<void> {
  for (const { path, uuid } of parent ? [snapshot, parent] : [snapshot]) {
    if (!(await pathExists(path)) || (await showSubvolume(path)).uuid === uuid) continue;
    throw new ToolError(`the snapshot ${path} was replaced after planning (its UUID changed)`, {
      hint: 'run: make backup; it abandons this backup and starts another',
    });
  }
}
