/** How far a transfer is: a line at the bottom of a terminal, or a line in the log every 30 seconds. */
import { formatDuration, formatSize } from '../core/units.ts';
import type { Progress } from '../transfer/transfer-context.ts';
import type { BottomLine } from './bottom-lines.ts';

const lineEveryMs = 30_000;

/** The rate is that of the last half minute: what was fast an hour ago says little of the time that is left. */
const rateOverMs = 30_000;

/** What is known of a transfer at one moment. */
export interface ProgressState {
  readonly label: string;
  readonly doneBytes: number;
  /** An estimate; 0 where there is none. */
  readonly totalBytes: number;
  /** Bytes a second; undefined before the first second is over. */
  readonly rate: number | undefined;
  readonly elapsedSeconds: number;
  /** What it waits for, and for how long. */
  readonly waiting?: { readonly what: string; readonly seconds: number };
}

/** Lines through a log, for where there is no terminal. */
export function startLines(label: string, writeLine: (line: string) => void): Progress {
  const meter = new Meter(label);
  const timer = setInterval(
    () => writeLine(describeProgress(meter.state(), Number.POSITIVE_INFINITY)),
    lineEveryMs,
  ).unref();
  return { ...meter.progress, stop: () => clearInterval(timer) };
}

/** A line at the bottom of the terminal. */
export function startBottomLine(label: string, show: (line: BottomLine) => () => void): Progress {
  const meter = new Meter(label);
  return {
    ...meter.progress,
    stop: show((columns) => describeProgress(meter.state(), columns, maxBarWidth)),
  };
}

const [minBarWidth, maxBarWidth] = [10, 30];

/**
 * `upload data  30% of about 4.00 GiB  12.0 MiB/s  4m 00s left  ██████░░░░`. Where `columns` do not suffice, the bar goes first, then the
 * bytes, the rate, and the time left. Beyond the estimate there is neither a share nor a time left. While it
 * waits, the line names what for: `restore data 2 of 5  waiting for btrfs receive  12s`. Before anything moves it is the label and the time
 * since it began.
 */
export function describeProgress(
  { label, doneBytes, totalBytes, rate, elapsedSeconds, waiting }: ProgressState,
  columns: number,
  barWidth = 0,
): string {
  if (waiting) return `${label}  waiting for ${waiting.what}  ${formatDuration(waiting.seconds)}`;
  const share = totalBytes > 0 && doneBytes <= totalBytes ? doneBytes / totalBytes : undefined;
  if (doneBytes === 0 && share === undefined) return `${label}  ${formatDuration(elapsedSeconds)}`;
  const percent = share === undefined ? undefined : `${Math.floor(share * 100)}%`;
  const bytes = share === undefined ? formatSize(doneBytes) : `${percent} of about ${formatSize(totalBytes)}`;
  const speed = rate === undefined ? undefined : `${formatSize(Math.round(rate))}/s`;
  const left =
    share !== undefined && rate ? `${formatDuration((totalBytes - doneBytes) / rate)} left` : undefined;
  const choices = [
    [bytes, speed, left],
    [percent ?? bytes, speed, left],
    [percent ?? bytes, left ?? speed],
    [percent ?? bytes],
  ];
  const texts = choices.map((parts) => [label, ...parts.filter((part) => part !== undefined)].join('  '));
  const text = texts.find(({ length }) => length <= columns) ?? texts.at(-1) ?? label;
  const room = Math.min(barWidth, columns - text.length - 2);
  if (share === undefined || room < minBarWidth) return text;
  const full = Math.round(share * room);
  return `${text}  ${'█'.repeat(full)}${'░'.repeat(room - full)}`;
}

/** Counts bytes, and knows how fast they came lately. */
class Meter {
  readonly #label: string;
  readonly #startedMs = performance.now();
  #done = 0;
  #total = 0;
  #waiting: { readonly what: string; readonly sinceMs: number } | undefined;
  #samples: readonly (readonly [atMs: number, bytes: number])[] = [[this.#startedMs, 0]];

  constructor(label: string) {
    this.#label = label;
  }

  readonly progress = {
    expect: (totalBytes: number) => {
      this.#total = totalBytes;
    },
    add: (bytes: number) => {
      this.#done += bytes;
      this.#waiting = undefined;
    },
    waitFor: (what: string) => {
      this.#waiting = { what, sinceMs: performance.now() };
    },
  };

  state(): ProgressState {
    const nowMs = performance.now();
    const recent = this.#samples.filter(([atMs]) => nowMs - atMs <= rateOverMs);
    // The youngest sample that is older than the window, so that the rate always spans the whole of it.
    const before = this.#samples.filter(([atMs]) => nowMs - atMs > rateOverMs).at(-1);
    this.#samples = [...(before ? [before] : []), ...recent, [nowMs, this.#done]];
    const [fromMs, from] = this.#samples[0] ?? [nowMs, this.#done];
    const seconds = (nowMs - fromMs) / 1000;
    return {
      label: this.#label,
      doneBytes: this.#done,
      totalBytes: this.#total,
      rate: seconds < 1 ? undefined : Math.max(0, (this.#done - from) / seconds),
      elapsedSeconds: (nowMs - this.#startedMs) / 1000,
      ...(this.#waiting && {
        waiting: { what: this.#waiting.what, seconds: (nowMs - this.#waiting.sinceMs) / 1000 },
      }),
    };
  }
}
