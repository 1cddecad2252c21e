/** A terminal's screen as an SVG picture: text with its colours, in a light and a dark dress. */
import type { RunningTerminal } from '../harness/processes/terminal.ts';

/** Colours of a picture: background, text, and the sixteen of a terminal that the log uses. */
export interface Dress {
  readonly background: string;
  readonly text: string;
  readonly colours: Readonly<Record<number, string>>;
}

export const light: Dress = {
  background: '#ffffff',
  text: '#24292f',
  colours: {
    1: '#cf222e',
    2: '#116329',
    3: '#7d4e00',
    4: '#0969da',
    5: '#8250df',
    6: '#1b7c83',
    8: '#57606a',
  },
};
export const dark: Dress = {
  background: '#0d1117',
  text: '#e6edf3',
  colours: {
    1: '#ff7b72',
    2: '#3fb950',
    3: '#d29922',
    4: '#58a6ff',
    5: '#bc8cff',
    6: '#39c5cf',
    8: '#8b949e',
  },
};

const [cellWidth, lineHeight, margin, fontSize] = [8.4, 19, 16, 14];

interface Run {
  readonly column: number;
  readonly text: string;
  readonly colour: number | undefined;
  readonly isBold: boolean;
}

/** Draws what stands in the terminal, from its first line to its last that is not blank. `title` is for who cannot see it. */
export function drawTerminal(emulator: RunningTerminal['emulator'], title: string, dress: Dress): string {
  const lines = readRuns(emulator);
  const width = margin * 2 + emulator.cols * cellWidth;
  const height = margin * 2 + lines.length * lineHeight;
  const texts = lines.flatMap((runs, row) =>
    runs.map(({ column, text, colour, isBold }) => {
      const fill = (colour !== undefined && dress.colours[colour]) || dress.text;
      const [x, y] = [margin + column * cellWidth, margin + (row + 0.75) * lineHeight];
      const length = (text.length * cellWidth).toFixed(1);
      const weight = isBold ? ' font-weight="bold"' : '';
      return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${fill}"${weight} textLength="${length}" xml:space="preserve">${escapeXml(text)}</text>`;
    }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width.toFixed(0)}" height="${height.toFixed(0)}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="${fontSize}">
<title>${escapeXml(title)}</title>
<rect width="100%" height="100%" rx="8" fill="${dress.background}"/>
${texts.join('\n')}
</svg>
`;
}

/** Of each line the stretches that look alike, without blanks around them. */
function readRuns({ buffer: { active }, cols }: RunningTerminal['emulator']): readonly (readonly Run[])[] {
  const lines: Run[][] = [];
  for (let y = 0; y < active.length; y += 1) {
    const line = active.getLine(y);
    const runs: Run[] = [];
    for (let column = 0; column < cols; column += 1) {
      const cell = line?.getCell(column);
      const [text, colour] = [cell?.getChars() || ' ', cell?.isFgDefault() ? undefined : cell?.getFgColor()];
      const isBold = cell?.isBold() !== 0;
      const last = runs.at(-1);
      if (last && last.colour === colour && last.isBold === isBold)
        runs[runs.length - 1] = { ...last, text: last.text + text };
      else runs.push({ column, text, colour, isBold });
    }
    lines.push(
      runs
        .map((run) => ({ ...run, column: run.column + run.text.search(/\S|$/), text: run.text.trim() }))
        .filter(({ text }) => text !== ''),
    );
  }
  while (lines.at(-1)?.length === 0) lines.pop();
  return lines;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
