/**
 * Splits a text into words as a shell does: blanks between them, single and double quotes, backslashes, and `$'…'`, in which `ls` shows
 * names that are no text. Nothing is expanded. Words are byte strings (latin1), because names on Linux need not be UTF-8.
 */

/** What `$'…'` says with one letter (bash(1), "QUOTING"). */
const letters: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** One piece of a word, the first that fits. */
const pieces: readonly (readonly [pattern: RegExp, text: (match: RegExpExecArray) => string])[] = [
  [/\$'((?:[^'\\]|\\[\s\S])*)'/y, ([, inner = '']) => unescapeAnsi(inner)],
  [/'([^']*)'/y, ([, inner = '']) => inner],
  [/"((?:[^"\\]|\\[\s\S])*)"/y, ([, inner = '']) => inner.replace(/\\(["\\$`])/g, '$1')],
  [/\\([\s\S])/y, ([, inner = '']) => inner],
  [/(?!\$')[^\s'"\\]/y, ([character]) => character],
];

/**
 * The words of a text; their bytes are those of its UTF-8.
 * @throws RangeError with the reason, for a quote that is not closed or a backslash with nothing behind it.
 */
export function shellWords(text: string): readonly string[] {
  const bytes = Buffer.from(text).toString('latin1');
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < bytes.length; ) {
    const blank = matchAt(/[ \t\r\n]+/y, bytes, at);
    if (blank) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += blank[0].length;
      continue;
    }
    const piece = pieceAt(bytes, at);
    word = (word ?? '') + piece.text;
    at += piece.length;
  }
  return word === undefined ? words : [...words, word];
}

function pieceAt(bytes: string, at: number): { readonly text: string; readonly length: number } {
  for (const [pattern, text] of pieces) {
    const match = matchAt(pattern, bytes, at);
    if (match) return { text: text(match), length: match[0].length };
  }
  throw new RangeError(bytes[at] === '\\' ? 'it ends in a backslash' : 'a quote is not closed');
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function unescapeAnsi(inner: string): string {
  return inner.replace(/\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|([\s\S]))/g, (whole, octal, hex, letter) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return letters[letter] ?? (/["'\\?]/.test(letter) ? letter : whole);
  });
}
