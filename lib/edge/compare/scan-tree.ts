/** One pass of `find` over a tree, for what rsync cannot compare or needs to know. */
import { createReservoir } from '../../core/compare/reservoir.ts';
import { runForRecords } from '../process/child-records.ts';

/** Inode number of the empty directory that a snapshot shows in place of a nested subvolume (btrfs-subvolume(8)). */
const nestedSubvolumeInode = '2';
const nul = 0;

/** Paths are relative to the tree and byte strings (latin1), because names on Linux need not be valid text. */
export interface TreeScan {
  /** Stand-ins of nested subvolumes, which a send stream leaves out. */
  readonly nestedSubvolumes: readonly string[];
  /** The type of each device, fifo and socket, as find's `%y` has it. */
  readonly specialTypes: ReadonlyMap<string, string>;
  /** How many paths have how many links, where it is more than one. */
  readonly pathsByLinks: ReadonlyMap<number, number>;
  /** Regular files chosen uniformly over the tree. */
  readonly sample: readonly string[];
}

/** What `find` prints: type, inode, number of links, path. */
const recordForm = /^(\w) (\d+) (\d+) (.*)$/s;

/**
 * Scans the tree at `directory`, which is one subvolume: what is mounted or nested below is left alone.
 * @param sampleFiles how many regular files to choose; memory is bounded by it, by the number of special files and
 * by that of nested subvolumes.
 * @throws ToolError when something cannot be read.
 */
export async function scanTree(
  directory: string,
  sampleFiles: number,
  signal?: AbortSignal,
): Promise<TreeScan> {
  const nestedSubvolumes: string[] = [];
  const specialTypes = new Map<string, string>();
  const pathsByLinks = new Map<number, number>();
  const reservoir = createReservoir<string>(sampleFiles);
  const wanted = [
    ['-type', 'd', '-inum', nestedSubvolumeInode],
    ['-o', '-type', 'b', '-o', '-type', 'c', '-o', '-type', 'p', '-o', '-type', 's'],
    ['-o', '!', '-type', 'd', '-links', '+1'],
    sampleFiles > 0 ? ['-o', '-type', 'f'] : [],
  ].flat();
  const args = ['.', '-xdev', '-mindepth', '1', '(', ...wanted, ')', '-printf', '%y %i %n %P\\0'];
  await runForRecords({ file: 'find', args, directory, separator: nul, signal }, (record) => {
    const [, type = '', , links = '', path = ''] = recordForm.exec(record.toString('latin1')) ?? [];
    if (path === '') throw new Error(`find printed what was not asked: ${record.toString('latin1')}`);
    if (type === 'd') {
      nestedSubvolumes.push(path);
      return;
    }
    if (type === 'f') reservoir.offer(path);
    else if (type !== 'l') specialTypes.set(path, type);
    if (links !== '1') pathsByLinks.set(Number(links), (pathsByLinks.get(Number(links)) ?? 0) + 1);
  });
  return { nestedSubvolumes, specialTypes, pathsByLinks, sample: reservoir.elements() };
}
