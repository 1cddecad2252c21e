/** Lines of a label and a text, for screens of 80 columns. */
import { printable } from '../../core/printable.ts';

const width = 80;
const labelWidth = 17;

/** A label and its text, which goes on below itself; without a label the text has the whole width. */
export function labelled(label: string, text: string, indent = 2): readonly string[] {
  const start = label === '' ? indent : labelWidth;
  const room = width - start;
  const rows: string[] = [];
  for (const word of printable(text).split(' ')) {
    const longer = `${rows.at(-1)} ${word}`;
    if (rows.length > 0 && longer.length <= room) rows[rows.length - 1] = longer;
    else for (let at = 0; at < Math.max(1, word.length); at += room) rows.push(word.slice(at, at + room));
  }
  const head = `${' '.repeat(indent)}${label}`.padEnd(start);
  return rows.map((row, index) => (index === 0 ? head : ' '.repeat(start)) + row);
}
