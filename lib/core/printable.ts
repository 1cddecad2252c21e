/** Text that came from outside (a bucket, a file, a server, a child process), made safe to show on a terminal. */

/** What a terminal obeys instead of showing: control characters, separators of lines, changes of direction, half characters. */
const obeyed = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The text on one line, with an escape such as `\n` or `\u001b` for every character that a terminal would obey. */
export function printable(text: string): string {
  return text.replace(obeyed, (character) => short[character] ?? escaped(character));
}

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
