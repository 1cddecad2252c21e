/** RESTORE.txt as a machine follows it: its commands, with what people fill in. */

/** What people put for the words in capitals. */
export interface FilledIn {
  readonly name: string;
  readonly directory: string;
  readonly place: string;
}

/** The commands of the text, a block each: lines that are set off by five blanks, as they would be entered. */
export function commandBlocks(text: string, filledIn?: FilledIn): readonly string[] {
  const blocks = text
    .split(/\n\n+/)
    .filter((block) => block.startsWith('     '))
    .map((block) => block.replace(/^ {5}/gm, ''));
  if (!filledIn) return blocks;
  const { name, directory, place } = filledIn;
  return blocks.map((block) =>
    block
      .replace(/\bNAME\b/g, name)
      .replace(/\bDIR\b/g, directory)
      .replace(/\bPLACE\b/g, place),
  );
}

/** The blocks as one script that says the exit code of each on stderr: `block 3: 0`. */
export function asScript(blocks: readonly string[]): string {
  return blocks.map((block, index) => `${block.trimEnd()}\necho "block ${index + 1}: $?" >&2\n`).join('');
}
