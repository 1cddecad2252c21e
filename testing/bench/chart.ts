/** The comparisons as a picture: one bar for each candidate, one group for each comparison, each group with a scale of its own. */
import { formatSize } from '../../lib/core/units.ts';
import { type Comparison, linesOf } from './report.ts';

const width = 760;
const labelWidth = 170;
const numberWidth = 190;
const barHeight = 18;
const rowHeight = 24;
const headHeight = 44;

/** Readable on white and on black. */
const colours = { tool: '#2f81f7', other: '#8b949e', limit: '#3fb950', ceiling: '#3fb95088' } as const;

/** An SVG document. */
export function drawChart(comparisons: readonly Comparison[], caption: string): string {
  let top = 0;
  const groups = comparisons.map((comparison) => {
    const group = drawGroup(comparison, top);
    top += headHeight + comparison.results.length * rowHeight;
    return group;
  });
  const height = top + headHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" fill="#768390">`,
    ...groups,
    text(0, top + 28, caption, 'font-size="11"'),
    '</svg>\n',
  ].join('\n');
}

function drawGroup(comparison: Comparison, top: number): string {
  const { set, direction, streamBytes, results } = comparison;
  const lines = linesOf(comparison);
  const fastest = Math.max(...lines.map(({ summary }) => summary.mibPerSecond));
  const room = width - labelWidth - numberWidth;
  const rows = lines.map(({ name, summary }, index) => {
    const y = top + headHeight + index * rowHeight;
    const length = Math.max(1, (room * summary.mibPerSecond) / fastest);
    const role = results[index]?.role ?? 'other';
    const numbers = `${summary.mibPerSecond.toFixed(0)} MiB/s, ${summary.cpuSecondsPerGib.toFixed(1)} CPU-s/GiB`;
    const weight = role === 'tool' ? 'font-weight="bold"' : '';
    return [
      text(labelWidth - 8, y + 13, name, `text-anchor="end" ${weight}`),
      `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2" fill="${colours[role]}"/>`,
      text(labelWidth + length + 6, y + 13, numbers, weight),
    ].join('\n');
  });
  const title = `${direction} of ${set}, a stream of ${formatSize(streamBytes)}`;
  return [text(0, top + 30, title, 'font-size="15" font-weight="bold"'), ...rows].join('\n');
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escaped}</text>`;
}
