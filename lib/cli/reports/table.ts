/** A plain table: columns as wide as their widest cell, numbers to the right, nothing that a terminal would obey. */
import { printable } from '../../core/printable.ts';

/** Lays rows out under a heading; cells that begin with a digit are aligned to the right. */
export function formatTable(heading: readonly string[], cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map(printable));
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[], alignRight: boolean) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return alignRight && /^\d[\d,.]* ?[A-Za-z]*$/.test(cell) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(heading, false), ...rows.map((row) => line(row, true))].join('\n');
}
