/** Names that differ in case alone: on FAT, exFAT or NTFS the second one is the first one, and is written over it without a word. */
import { isUtf8 } from 'node:buffer';
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
  const names = new SameNames(paths);
  const args = ['--all', '--count-links', '--null', '--files0-from=-'];
  const run = { file: 'du', args, directory: tree, input: listOf(paths), separator: 0, signal };
  await runForRecords(run, (record) => names.see(record.subarray(record.indexOf('\t') + 2)));
  const { shown, count } = names;
  if (count === 0) return undefined;
  const lines = shown.map(
    (path) => `${shownPath(path)} differs from another name in case alone, and TO takes the two for one`,
  );
  return [...lines, ...(count > shown.length ? [`and ${count - shown.length} more`] : [])].join('\n');
}

/**
 * Finds them in a tree that is walked as du(1) does it, each directory after what is in it. Two directories that become one are named, and what is
 * in them is not, so that only the names of the directories on the way to where the walk is have to be held: there may be millions of others.
 */
export class SameNames {
  readonly #paths: ReadonlySet<string>;
  /** By depth: the names in a directory that have been seen. */
  readonly #seen: Set<string>[] = [];
  /** Byte strings (latin1) of the first that were found. */
  readonly shown: string[] = [];
  count = 0;

  /** @param paths where the walk begins, as byte strings (latin1): they, and what is above them, lie side by side as well */
  constructor(paths: readonly string[]) {
    this.#paths = new Set(paths);
    const [ways, taken] = [new Set<string>(), new Set<string>()];
    for (const path of this.#paths) {
      let at = '';
      for (const name of path.split('/').slice(1)) {
        const folded = `${at}/${withoutCase(Buffer.from(name, 'latin1'))}`;
        at = `${at}/${name}`;
        if (ways.has(at)) continue;
        if (taken.has(folded)) this.#found(at);
        ways.add(at);
        taken.add(folded);
      }
    }
  }

  /** Takes the next path of the walk. */
  see(path: Buffer): void {
    const text = path.toString('latin1');
    if (this.#paths.has(text)) {
      this.#seen.length = 0;
      return;
    }
    const depth = text.split('/').length;
    // It is a directory that ends here, or none has begun below.
    this.#seen.length = Math.min(this.#seen.length, depth + 1);
    this.#seen[depth] ??= new Set();
    const names = this.#seen[depth];
    const folded = withoutCase(path.subarray(text.lastIndexOf('/') + 1));
    if (names.has(folded)) this.#found(text);
    names.add(folded);
  }

  #found(path: string): void {
    this.count++;
    if (this.shown.length < mostShown) this.shown.push(path);
  }
}

/** What is no text stays as it is, and so does a letter that has no single capital. */
function withoutCase(name: Buffer): string {
  if (!isUtf8(name)) return name.toString('latin1');
  return name.toString('utf8').replace(/\p{Ll}/gu, (letter) => {
    const capital = letter.toUpperCase();
    return [...capital].length === 1 ? capital : letter;
  });
}
