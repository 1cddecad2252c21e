/**
 * Compares a restored tree with the snapshot that it came from, with `rsync` in a dry run as the judge: it is no part
 * of what made the backup. Not compared, because a send stream does not carry it or it is no content: access and
 * change times, inode numbers and flags (chattr), where holes are, and nested subvolumes.
 */
import { lstat, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createDifferenceList, type DifferenceList } from '../../core/compare/difference-list.ts';
import { type TreeDifference, treeDifference } from '../../core/compare/tree-difference.ts';
import { ToolError } from '../../core/errors.ts';
import { dryRunRsync, hidingRules } from './rsync-dry-run.ts';
import { scanTree, type TreeScan } from './scan-tree.ts';

/** What to compare: two directories, and the content of all files or of `sampleFiles` chosen ones. */
export interface CompareRequest {
  readonly expected: string;
  readonly actual: string;
  readonly mode: 'full' | 'sample';
  readonly sampleFiles: number;
  readonly signal?: AbortSignal;
}

/** The verdict; equal trees have no differences. */
export interface TreeComparison {
  /** Entries of the expected tree that were compared, itself included. */
  readonly entries: number;
  /** Regular files among them whose content was to be compared (`full`), or was compared (`sample`). */
  readonly contents: number;
  /** The first hundred differences. */
  readonly differences: readonly TreeDifference[];
  readonly totalDifferences: number;
}

interface Trees {
  readonly from: string;
  readonly to: string;
  readonly expected: TreeScan;
  readonly actual: TreeScan;
  readonly list: DifferenceList;
  readonly signal: AbortSignal | undefined;
}

const keptDifferences = 100;

/** rsync takes a block device and a character device of the same number for equal (seen with 3.2.7 and 3.5.0). */
function addSpecialTypes({ expected, actual, list }: Trees): void {
  for (const [path, type] of expected.specialTypes) {
    const actualType = actual.specialTypes.get(path) ?? type;
    if (actualType !== type) list.add(treeDifference(Buffer.from(path, 'latin1'), ['type']));
  }
}

/** Compares the content of the sampled files that are there; answers how many they were. */
async function compareSample({ from, to, list, signal }: Trees, sample: Iterable<string>): Promise<number> {
  const input = Buffer.from(Array.from(sample, (path) => `${path}\0`).join(''), 'latin1');
  if (input.length === 0) return 0;
  // Without -H, so that each file is read and none is taken for equal by being a link to another one.
  const options = ['--files-from=-', '--no-implied-dirs', '--checksum', '--no-hard-links'];
  const counts = await dryRunRsync({ from, to, options, input, signal }, (difference) => {
    if (difference.aspects.includes('content')) list.add({ ...difference, aspects: ['content'] });
  });
  return counts.files;
}

/**
 * rsync reports links that are missing in `to`, but not files that are linked there without being linked in `from`:
 * the other direction does.
 */
async function addExtraLinks({ from, to, list, signal }: Trees): Promise<void> {
  const input = Buffer.alloc(0);
  await dryRunRsync({ from: to, to: from, options: [], input, signal }, (difference) => {
    if (difference.aspects.includes('hard-link')) list.add({ ...difference, aspects: ['hard-link'] });
  });
  if (list.total() === 0) list.add(treeDifference(Buffer.from('.'), ['hard-link']));
}

/** The number of inodes that share their content between paths follows from how many paths have how many links. */
function sameLinkCounts(expected: TreeScan, actual: TreeScan): boolean {
  const describe = ({ pathsByLinks }: TreeScan) =>
    JSON.stringify([...pathsByLinks].sort(([a], [b]) => a - b));
  return describe(expected) === describe(actual);
}

/** rsync says `missing` also of an entry whose place is taken by one of another type. */
async function tellTypesApart(actual: string, difference: TreeDifference): Promise<TreeDifference> {
  if (!difference.aspects.includes('missing')) return difference;
  const path = Buffer.concat([Buffer.from(`${actual}/`), difference.pathBytes]);
  try {
    await lstat(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return difference;
    throw error;
  }
  const aspects = difference.aspects.map((aspect) => (aspect === 'missing' ? 'type' : aspect));
  return { ...difference, aspects };
}

async function requireDirectory(path: string): Promise<string> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw new ToolError(`${path} cannot be compared`, { cause });
  });
  if (!stats.isDirectory()) throw new ToolError(`${path} cannot be compared: it is no directory`);
  return resolve(path);
}

/**
 * Compares `actual` with `expected`: type, size, mode, owner, mtime, extended attributes, ACLs, link targets, hard
 * links and device numbers of every entry, and the content of all regular files (`full`) or of a random sample
 * (`sample`). Needs root. Neither tree is changed; access times neither, but for files of a writable tree where rsync
 * is older than 3.5 (3.2.7 knows --open-noatime and does not use it for checksums).
 * @throws ToolError when a tree is missing or something in it cannot be read; the signal's reason when aborted.
 */
export async function compareTrees(request: CompareRequest): Promise<TreeComparison> {
  const { mode, signal } = request;
  const [from, to] = [await requireDirectory(request.expected), await requireDirectory(request.actual)];
  const expected = await scanTree(from, mode === 'sample' ? request.sampleFiles : 0, signal);
  const actual = await scanTree(to, 0, signal);
  const list = createDifferenceList(keptDifferences);
  const trees: Trees = { from, to, expected, actual, list, signal };

  const input = hidingRules(expected.nestedSubvolumes);
  const options = ['--filter=merge -', '--delete', ...(mode === 'full' ? ['--checksum'] : [])];
  const sample = new Set(expected.sample);
  const counts = await dryRunRsync({ from, to, options, input, signal }, (difference) => {
    list.add(difference);
    // rsync fails on a named file below a directory that is none in the other tree.
    if (difference.aspects.includes('missing'))
      sample.delete(Buffer.from(difference.pathBytes).toString('latin1'));
  });
  const contents = mode === 'full' ? counts.files : await compareSample(trees, sample);
  addSpecialTypes(trees);
  if (!sameLinkCounts(expected, actual)) await addExtraLinks(trees);

  const differences = await Promise.all(list.kept().map((difference) => tellTypesApart(to, difference)));
  return { entries: counts.entries, contents, differences, totalDifferences: list.total() };
}
