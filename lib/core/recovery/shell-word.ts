/** A word for the shell, quoted where it has to be: a prefix may hold blanks and quotes, and must never become code. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
