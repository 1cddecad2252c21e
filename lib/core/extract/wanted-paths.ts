/** PATHS of make extract: what is to be copied out of a backup. Paths are byte strings (latin1) that begin with `/`, the subvolume's top. */
import { printablePath } from '../compare/tree-difference.ts';
import { ToolError } from '../errors.ts';
import { shellWords } from './shell-words.ts';

/**
 * Reads PATHS: words as a shell would split them, each a path below the subvolume. Slashes that mean nothing are left out, and so is
 * what is named twice.
 * @throws ToolError (usage) that says what is wrong with which path
 */
export function readWantedPaths(text: string): readonly string[] {
  const paths = wordsOf(text).map(plainPath);
  if (paths.length === 0) {
    throw usage(
      'PATHS names nothing',
      'give one or more paths below the subvolume: PATHS="/etc/fstab /home/u"',
    );
  }
  return [...new Set(paths)];
}

/** Paths without those that come along with others. */
export function outermost(paths: readonly string[]): readonly string[] {
  return paths.filter((path) => !paths.some((other) => other !== path && isBelow(path, other)));
}

/** True for what lies below a path. */
export function isBelow(path: string, above: string): boolean {
  return path.startsWith(above === '/' ? '/' : `${above}/`);
}

/** The names of a path, from the top down; none for `/`. */
export function namesOf(path: string): readonly string[] {
  return path.split('/').filter((name) => name !== '');
}

/** The byte string of a text. */
export function byteString(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** A path (byte string) as it is shown to people. */
export function shownPath(path: string): string {
  return printablePath(Uint8Array.from(path, (character) => character.charCodeAt(0)));
}

function wordsOf(text: string): readonly string[] {
  try {
    return shellWords(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw usage(`PATHS cannot be read: ${error.message}`, `quote names as in a shell: PATHS="/a '/b c'"`);
  }
}

function plainPath(word: string): string {
  const shown = shownPath(word);
  if (!word.startsWith('/')) {
    throw usage(
      `PATHS: "${shown}" does not begin with "/"`,
      'paths begin at the top of the subvolume, and names with blanks stand in quotes',
    );
  }
  const names = namesOf(word);
  if (names.includes('.') || names.includes('..')) {
    throw usage(`PATHS: "${shown}" has a part "." or ".."`, 'name it without');
  }
  if (word.includes('\0')) throw usage(`PATHS: "${shown}" has a NUL in it`, 'no name on Linux has');
  return `/${names.join('/')}`;
}

function usage(message: string, hint: string): ToolError {
  return new ToolError(message, { kind: 'usage', hint });
}
