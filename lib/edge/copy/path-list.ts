/** Paths below a directory as rsync and du read them from a list whose entries end in NUL. */

/** rsync takes a line that begins with `#` or `;` for a comment, also where names end in NUL. @param paths byte strings (latin1) */
export function listOf(paths: readonly string[]): Buffer {
  return Buffer.from(paths.map((path) => `.${path}\0`).join(''), 'latin1');
}
