/**
 * The strict reader of a settings file. dotenv drops lines that it does not understand and cuts an unquoted value at
 * `#`; a backup must not run on half of its settings, so every line is judged here before dotenv unquotes it.
 */
import { parse } from 'dotenv';

/** One `KEY=VALUE` of a settings file; `line` counts from 1, and is 0 for `--set`. */
export interface SettingLine {
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

/** Something wrong with a settings file, ready to be shown with its place. */
export interface SettingProblem {
  readonly line?: number;
  readonly key?: string;
  readonly reason: string;
}

const maxLineLength = 65_536;

/** Splits a settings text into its lines and the problems of those that are not `KEY=VALUE`, blank or a comment. */
export function readSettingLines(text: string): {
  readonly lines: readonly SettingLine[];
  readonly problems: readonly SettingProblem[];
} {
  const lines: SettingLine[] = [];
  const problems: SettingProblem[] = [];
  const seen = new Map<string, number>();
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1;
    const trimmed = raw.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const parsed = readSettingLine(trimmed);
    if ('reason' in parsed) {
      problems.push({ line, ...parsed });
      continue;
    }
    const first = seen.get(parsed.key);
    if (first !== undefined) {
      problems.push({ line, key: parsed.key, reason: `is already set on line ${first}` });
      continue;
    }
    seen.set(parsed.key, line);
    lines.push({ ...parsed, line });
  }
  return { lines, problems };
}

/** Reads one `KEY=VALUE` or `export KEY=VALUE`, or says what is wrong with it. */
export function readSettingLine(
  text: string,
): { readonly key: string; readonly value: string } | { readonly key?: string; readonly reason: string } {
  if (text.length > maxLineLength) return { reason: `is longer than ${maxLineLength} characters` };
  if (text.includes('\0')) return { reason: 'contains a NUL character' };
  if (/[\r\u2028\u2029]/.test(text)) return { reason: 'contains a line break other than LF or CR LF' };
  const match = /^(?:export\s+)?([^=\s]+)\s*(=?)\s*(.*)$/.exec(text);
  const [, key = '', equals = '', value = ''] = match ?? [];
  if (equals === '') return { reason: 'is not KEY=VALUE, a comment or blank: there is no "=" after the key' };
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
    return { reason: 'is not a setting: the key must be letters, digits and "_"' };
  const quote = value[0];
  if (quote !== '"' && quote !== "'" && quote !== '`') return { key, value };
  const closing = closingQuote(value, quote);
  if (closing === -1) return { key, reason: `the quote ${quote} is not closed on the same line` };
  if (closing < value.length - 1) {
    return {
      key,
      reason: `there is text after the closing quote ${quote} (comments stand on a line of their own)`,
    };
  }
  // Never under its own key: of `__proto__` dotenv's result would be an object.
  return { key, value: parse(`VALUE=${value}`).VALUE ?? '' };
}

function closingQuote(value: string, quote: string): number {
  for (let at = 1; at < value.length; at++) {
    if (value[at] === '\\') at++;
    else if (value[at] === quote) return at;
  }
  return -1;
}
