/** How far a transfer is, in words: a line every 30 seconds where there is no terminal for a bar. */
import { formatDuration, formatSize } from '../core/units.ts';
import type { Progress } from '../transfer/transfer-context.ts';

const lineEveryMs = 30_000;

/** Lines through a log. */
export function startLines(label: string, writeLine: (line: string) => void): Progress {
  const startedMs = Date.now();
  let done = 0;
  let total = 0;
  const timer = setInterval(
    () => writeLine(describeProgress(label, done, total, Date.now() - startedMs, 0)),
    lineEveryMs,
  ).unref();
  return {
    expect(totalBytes) {
      total = totalBytes;
    },
    add(bytes) {
      done += bytes;
    },
    stop: () => clearInterval(timer),
  };
}

/**
 * `upload data  1.20 GiB of about 4.00 GiB (30%), 12.0 MiB/s, 4m 00s left`. The total is an estimate: beyond it there
 * is no percentage and no time left. `barWidth` in characters, 0 for none.
 */
export function describeProgress(
  label: string,
  doneBytes: number,
  totalBytes: number,
  elapsedMs: number,
  barWidth: number,
): string {
  const rate = elapsedMs > 0 ? (doneBytes / elapsedMs) * 1000 : 0;
  const speed = `${formatSize(Math.round(rate))}/s`;
  if (totalBytes <= 0 || doneBytes > totalBytes) return `${label}  ${formatSize(doneBytes)}, ${speed}`;
  const share = doneBytes / totalBytes;
  const full = Math.round(share * barWidth);
  const bar = barWidth > 0 ? `${'█'.repeat(full)}${'░'.repeat(barWidth - full)}  ` : '';
  const left = rate > 0 ? `, ${formatDuration((totalBytes - doneBytes) / rate)} left` : '';
  return `${label}  ${bar}${formatSize(doneBytes)} of about ${formatSize(totalBytes)} (${Math.floor(share * 100)}%), ${speed}${left}`;
}
