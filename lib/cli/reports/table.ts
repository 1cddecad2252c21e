/**
 * A plain table: columns as wide as their widest cell, numbers to the right, nothing that a terminal would obey. In a terminal that is too
 * narrow the columns that matter least are left out, and the last one is wrapped.
 */
import { printable } from '../../core/printable.ts';

/** A column: its title, and in which order it goes where there is no room: the highest number first, those without one never. */
export type Column = string | { readonly title: string; readonly leaveOut: number };

/** Of the terminal on stdout; without one nothing is too wide. */
export function tableWidth(): number {
  return (process.stdout.isTTY && process.stdout.columns) || Number.POSITIVE_INFINITY;
}

const gap = 2;
/** A last column that would be narrower is not wrapped. */
const narrowestWrap = 20;

/** Lays rows out under a heading; cells that begin with a digit are aligned to the right. `width` in characters. */
export function formatTable(
  columns: readonly Column[],
  cells: readonly (readonly string[])[],
  width = tableWidth(),
): string {
  const rows = cells.map((row) => row.map(printable));
  const titles = columns.map((column) => (typeof column === 'string' ? column : column.title));
  const widths = titles.map((title, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  // A last column that is wrapped is at least as wide as its longest word.
  const wrapped = titles.map((title, index) => {
    const words = [title, ...rows.flatMap((row) => (row[index] ?? '').split(' '))];
    return Math.max(narrowestWrap, ...words.map(({ length }) => length));
  });
  const shown = shownColumns(columns, widths, wrapped, width);
  const last = shown.at(-1) ?? 0;
  const before = shown.slice(0, -1).reduce((sum, index) => sum + (widths[index] ?? 0) + gap, 0);
  const room = width - before;
  const line = (row: readonly string[], alignRight: boolean) =>
    shown
      .map((index) => {
        const [cell = '', cellWidth = 0] = [row[index], widths[index]];
        if (index === last && cell.length > room && room >= narrowestWrap)
          return wrap(cell, room).join(`\n${' '.repeat(before)}`);
        return alignRight && /^\d[\d,.]* ?[A-Za-z]*$/.test(cell)
          ? cell.padStart(cellWidth)
          : cell.padEnd(cellWidth);
      })
      .join(' '.repeat(gap))
      .trimEnd();
  return [line(titles, false), ...rows.map((row) => line(row, true))].join('\n');
}

/** The columns for which there is room. The last of them may be wrapped, so it counts with what a wrapped one needs. */
function shownColumns(
  columns: readonly Column[],
  widths: readonly number[],
  wrapped: readonly number[],
  width: number,
): readonly number[] {
  let shown = columns.map((_, index) => index);
  const needed = () =>
    shown.reduce((sum, index, position) => {
      const own = widths[index] ?? 0;
      const isLast = position === shown.length - 1;
      return sum + (isLast ? Math.min(own, wrapped[index] ?? own) : own + gap);
    }, 0);
  while (needed() > width) {
    const order = (index: number) => {
      const column = columns[index];
      return typeof column === 'object' ? column.leaveOut : 0;
    };
    const next = Math.max(...shown.map(order));
    if (next === 0) break;
    shown = shown.filter((index) => order(index) !== next);
  }
  return shown;
}

/** Cuts at blanks; a word that is longer than a line stands alone on one. `width` in characters. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
