/**
 * The lines at the bottom of a terminal that change while a script works: how far a transfer is, and what is being retried.
 * Everything else is printed above them, so that neither overwrites the other.
 */
import { createLogUpdate } from 'log-update';

/** A line, made anew for each picture. `columns` is the width of the terminal in characters. */
export type BottomLine = (columns: number) => string;

const drawEveryMs = 250;

const lines = new Set<BottomLine>();
// The cursor stays visible: a script that is killed could not bring it back.
const update = createLogUpdate(process.stderr, { showCursor: true });
let timer: NodeJS.Timeout | undefined;

/** Shows a line until the function that it returns is called. */
export function showLine(line: BottomLine): () => void {
  lines.add(line);
  timer ??= setInterval(draw, drawEveryMs).unref();
  draw();
  return () => {
    lines.delete(line);
    if (lines.size > 0) return draw();
    clearInterval(timer);
    timer = undefined;
    update.clear();
  };
}

/** Takes the lines away, so that something can be printed in their place. They come back with the next picture. */
export function clearLines(): void {
  if (lines.size > 0) update.clear();
}

function draw(): void {
  // 0 where the terminal does not know its size.
  const columns = process.stderr.columns || 80;
  // The last column stays free: a terminal may wrap there.
  update([...lines].map((line) => cut(line(columns - 1), columns - 1)).join('\n'));
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
