/** Checks that the snapshots of a planned backup are still where they were: other programs reuse paths. */
import { ToolError } from '../../../core/errors.ts';
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { showSubvolumes } from '../../../edge/btrfs/btrfs.ts';
import { pathExists } from '../../../edge/files/files.ts';

/**
 * Compares the UUIDs of snapshot and parent with those of the plan. From others `btrfs send` would make a stream that cannot be
 * received, which only a restore would find. A missing one is not judged: `btrfs send` cannot open it.
 * @throws ToolError when a path leads to another subvolume than it did.
 */
export async function checkSameSnapshots({ snapshot, parent }: SnapshotFile): Promise<void> {
  const planned: { readonly path: string; readonly uuid: string }[] = [];
  for (const each of parent ? [snapshot, parent] : [snapshot]) {
    if (await pathExists(each.path)) planned.push(each);
  }
  const found = await showSubvolumes(planned.map(({ path }) => path));
  for (const [index, { path, uuid }] of planned.entries()) {
    if (found[index]?.uuid === uuid) continue;
    throw new ToolError(`the snapshot ${path} was replaced after planning (its UUID changed)`, {
      hint: 'run: make backup; it abandons this backup and starts another',
    });
  }
}
