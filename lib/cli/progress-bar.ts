/** How far a transfer is, as a bar on a terminal. */
import { SingleBar } from 'cli-progress';
import type { Progress } from '../transfer/transfer-context.ts';
import { describeProgress } from './progress.ts';

/** Bars that are being drawn; a log line clears the current one, and its next tick draws it again. */
let barsShown = 0;

/** Clears the line on which a bar stands, if there is one. */
export function clearProgressLine(): void {
  if (barsShown > 0) process.stderr.write('\r\u001b[K');
}

/** A bar on stderr. */
export function startBar(label: string): Progress {
  const bar = new SingleBar({
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    fps: 4,
    format: (_options, { value, total, startTime }) =>
      describeProgress(label, value, total, Date.now() - startTime, 20),
  });
  let done = 0;
  bar.start(0, 0);
  barsShown++;
  return {
    expect: (totalBytes) => bar.setTotal(totalBytes),
    add(bytes) {
      done += bytes;
      bar.update(done);
    },
    stop() {
      barsShown--;
      bar.stop();
    },
  };
}
