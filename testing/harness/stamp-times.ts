/** Gives entries times that depend on a label alone, so that two trees made at different moments are equal. */
import { createHash } from 'node:crypto';
import { shell } from './processes/shell.ts';
import { nullSeparated, type TreeEntry, walkTree } from './walk-tree.ts';

/** Before 1970, the first and last nanosecond of a second, beyond 32 bits, beyond this century. */
const moments = [
  '1955-11-05T06:15:00.000000001Z',
  '1970-01-01T00:00:00.000000000Z',
  '1999-12-31T23:59:59.999999999Z',
  '2001-09-09T01:46:40.123456789Z',
  '2016-02-29T12:00:00.100000000Z',
  '2019-06-15T08:30:15.000000999Z',
  '2038-01-19T03:14:08.987654321Z',
  '2150-07-01T00:00:00.500000000Z',
];

/**
 * Sets mtime and atime of every entry of `directory` (itself, directories and symlinks included) that `select`
 * wants, to one of a few awkward moments, chosen by `label` and path.
 */
export async function stampTimes(
  directory: string,
  label: string,
  select: (entry: TreeEntry) => boolean = () => true,
): Promise<void> {
  const groups = new Map(moments.map((moment): [string, TreeEntry[]] => [moment, []]));
  for (const entry of (await walkTree(directory)).filter(select)) {
    const choice = createHash('sha256').update(label).update(entry.path).digest().readUInt32LE();
    groups.get(moments[choice % moments.length] ?? '')?.push(entry);
  }
  for (const [moment, entries] of groups) {
    if (entries.length === 0) continue;
    const run = shell({ cwd: directory, input: nullSeparated(entries) });
    await run`xargs --null touch --no-dereference --date=${moment} --`;
  }
}
