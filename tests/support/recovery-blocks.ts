/** RESTORE.txt as a machine follows it: its commands, with what people fill in. */
import assert from 'node:assert/strict';

/** What people put for the words in capitals. */
export interface FilledIn {
  readonly name: string;
  readonly target: string;
  readonly directory?: string;
  readonly identity?: string;
}

/** The commands of the steps by hand, a block each: lines that are set off by five blanks, as they would be entered. */
export function commandBlocks(text: string, filledIn?: FilledIn): readonly string[] {
  return blocksIn(text.slice(text.indexOf('\nBy hand\n')), filledIn);
}

/** The commands that fetch and run recover.sh: get and list, thaw, restore. */
export function scriptBlocks(text: string, filledIn?: FilledIn): readonly string[] {
  return blocksIn(text.slice(0, text.indexOf('\nBy hand\n')), filledIn);
}

function blocksIn(text: string, filledIn?: FilledIn): readonly string[] {
  const blocks = text
    .split(/\n\n+/)
    .filter((block) => block.startsWith('     '))
    .map((block) => block.replace(/^ {5}/gm, ''));
  if (!filledIn) return blocks;
  const { name, target, directory = '/nowhere', identity = '/nowhere' } = filledIn;
  return blocks.map((block) =>
    block
      .replace(/\bNAME\b/g, () => name)
      .replace(/\bDIR\b/g, () => directory)
      .replace(/\bIDENTITY\b/g, () => identity)
      .replace(/\bTARGET\b/g, () => target),
  );
}

/** The blocks as one script that says the exit code of each on stderr: `block 3: 0`. */
export function asScript(blocks: readonly string[]): string {
  return blocks.map((block, index) => `${block.trimEnd()}\necho "block ${index + 1}: $?" >&2\n`).join('');
}

/** Each block of a script ended with exit code 0. @param stderr of `asScript` */
export function assertSucceeded(stderr: string, blocks: readonly string[]): void {
  const ends = [...stderr.matchAll(/^block \d+: (\d+)$/gm)].map(([, code]) => code);
  assert.deepEqual(
    ends,
    blocks.map(() => '0'),
    stderr,
  );
}
