/** Active swap files: no snapshot can be taken of a subvolume that holds one (btrfs(5), "SWAPFILE SUPPORT"). */
import { readFile, stat } from 'node:fs/promises';
import { unescapeOctal } from '../../core/format/mountinfo.ts';

/** The files in a table such as /proc/swaps (proc(5)), which writes a blank as `\040`; partitions are left out. */
export function parseSwaps(table: string): readonly string[] {
  return table.split('\n').flatMap((line) => {
    const [name = '', type] = line.split(/\s+/);
    return type === 'file' ? [unescapeOctal(name)] : [];
  });
}

/** The active swap files in a subvolume, by the number of its device, which it has for itself. */
export async function activeSwapFiles(subvolume: string, table = '/proc/swaps'): Promise<readonly string[]> {
  const deviceOf = async (path: string) => (await stat(path, { bigint: true }).catch(() => undefined))?.dev;
  const own = await deviceOf(subvolume);
  const found: string[] = [];
  for (const file of parseSwaps(await readFile(table, 'utf8').catch(() => ''))) {
    if (own !== undefined && (await deviceOf(file)) === own) found.push(file);
  }
  return found;
}
