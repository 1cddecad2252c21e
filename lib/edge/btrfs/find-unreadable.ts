/** Which file `btrfs send` could not read: it says only that there was an error, and the kernel says of which inode. */
import { command } from '../process/child.ts';
import { showSubvolume } from './btrfs.ts';

/** The file, by the kernel's log and the snapshot's index; undefined where the log cannot be read, or names none. */
export async function findUnreadable(snapshotPath: string): Promise<string | undefined> {
  const [log, { id }] = await Promise.all([command`dmesg`, showSubvolume(snapshotPath)]);
  // fs/btrfs/send.c; and of any read, fs/btrfs/inode.c.
  const found = [
    ...log.stdout.matchAll(/send: IO error at offset \d+ for inode (\d+) root (\d+)/g),
    ...log.stdout.matchAll(/csum failed root (?<root>\d+) ino (?<inode>\d+) /g),
  ].map(({ groups, 1: inode, 2: root }) => groups ?? { inode, root });
  const last = found.filter(({ root }) => root === String(id)).at(-1);
  if (last?.inode === undefined) return undefined;
  const resolved = await command`btrfs inspect-internal inode-resolve ${last.inode} ${snapshotPath}`;
  return resolved.exitCode === 0 ? resolved.stdout.split('\n')[0] : undefined;
}
