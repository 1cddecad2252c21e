/** Names that differ in case alone: on FAT, exFAT or NTFS the second one is the first one, and is written over it without a word. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { shownPath } from '../../core/extract/wanted-paths.ts';
import { runForRecords } from '../process/child-records.ts';
import { listOf } from './path-list.ts';

const mostShown = 10;

/**
 * Looks for them among paths of a tree, with all that is below them.
 * @param paths byte strings (latin1) that begin with `/`
 * @returns a line for each of the first, and one for the others; undefined where each name is left
 * @throws ToolError; the signal's reason when aborted
 */
export async function describeSameNames(
  tree: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  // Of each name a few bytes: there may be millions.
  const seen = new Set<string>();
  const shown: string[] = [];
  let count = 0;
  const args = ['--all', '--count-links', '--null', '--files0-from=-'];
  const run = { file: 'du', args, directory: tree, input: listOf(paths), separator: 0, signal };
  await runForRecords(run, (record) => {
    const path = record.subarray(record.indexOf('\t') + 2);
    const folded = createHash('sha256').update(withoutCase(path)).digest('base64').slice(0, 12);
    if (!seen.has(folded)) {
      seen.add(folded);
      return;
    }
    count++;
    if (shown.length < mostShown) shown.push(shownPath(path.toString('latin1')));
  });
  if (count === 0) return undefined;
  const lines = shown.map(
    (path) => `${path} differs from another name in case alone, and TO takes the two for one`,
  );
  return [...lines, ...(count > shown.length ? [`and ${count - shown.length} more`] : [])].join('\n');
}

/** What is no text stays as it is, and so does a letter that has no single capital. */
function withoutCase(path: Buffer): string {
  if (!isUtf8(path)) return path.toString('latin1');
  return path.toString('utf8').replace(/\p{Ll}/gu, (letter) => {
    const capital = letter.toUpperCase();
    return [...capital].length === 1 ? capital : letter;
  });
}
