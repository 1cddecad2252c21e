/** LIMIT_UPLOAD and LIMIT_DOWNLOAD: how many bytes may pass in a second, at which hours. Pure; clocks are handed in. */
import { parseRate } from './rate.ts';

/** From a minute of the day on, in local time, so many bytes a second; undefined: as many as there are. */
export interface LimitFrom {
  readonly minute: number;
  readonly bytesPerSecond: number | undefined;
}

/** In the order of the day; empty where there is no limit at all. */
export type Timetable = readonly LimitFrom[];

/** Less would let a server take a connection for dead. */
export const LEAST_LIMIT_BYTES = 64 * 1024;

/**
 * Reads `none`, a rate such as `10MiB` or `20Mbit`, or a timetable such as `08:00,1MiB 23:00,none`.
 * @returns why it is none of these, as a clause, where it is not
 */
export function parseLimit(text: string): Timetable | string {
  const words = text.trim().split(/\s+/);
  if (words.length === 1 && !words[0]?.includes(',')) {
    const only = limitOf(words[0] ?? '');
    if (typeof only === 'string') return only;
    return only.bytesPerSecond === undefined ? [] : [{ minute: 0, ...only }];
  }
  const table: LimitFrom[] = [];
  for (const word of words) {
    const [, hours, minutes, rate = ''] = /^([01]\d|2[0-3]):([0-5]\d),(.+)$/.exec(word) ?? [];
    if (hours === undefined) return `has "${word}", which is not a time and a rate such as 08:00,1MiB`;
    const limit = limitOf(rate);
    if (typeof limit === 'string') return limit;
    table.push({ minute: Number(hours) * 60 + Number(minutes), ...limit });
  }
  table.sort((a, b) => a.minute - b.minute);
  const twice = table.find(({ minute }, index) => table[index - 1]?.minute === minute);
  return twice ? 'has two rates for one time' : table;
}

function limitOf(text: string): Pick<LimitFrom, 'bytesPerSecond'> | string {
  if (text === 'none' || text === 'off') return { bytesPerSecond: undefined };
  const bytesPerSecond = parseRate(text);
  if (bytesPerSecond === undefined) return `has "${text}", which is not a rate such as 10MiB or 20Mbit`;
  return bytesPerSecond < LEAST_LIMIT_BYTES ? 'must be 64KiB a second at least' : { bytesPerSecond };
}

/** The limit at a time of the day; before the first entry that of the last, which holds from the evening on. */
export function limitAt(timetable: Timetable, now: Date): number | undefined {
  const minute = now.getHours() * 60 + now.getMinutes();
  const passed = timetable.filter((entry) => entry.minute <= minute);
  return (passed.at(-1) ?? timetable.at(-1))?.bytesPerSecond;
}

/** The limit that holds at all hours; undefined where there is none, or it changes with the time of day. */
export function constantLimit(timetable: Timetable): number | undefined {
  return timetable.length === 1 ? timetable[0]?.bytesPerSecond : undefined;
}

/**
 * A token bucket without a store: bytes pass when those before them have had their time. All that share it get their turns in the order in
 * which they ask.
 */
export class TokenBucket {
  /** When the next bytes may pass, in milliseconds of the caller's clock. */
  #freeAtMs = Number.NEGATIVE_INFINITY;

  /** Reserves bytes. @returns milliseconds after which they may pass */
  reserve(bytes: number, bytesPerSecond: number | undefined, nowMs: number): number {
    if (bytesPerSecond === undefined) {
      this.#freeAtMs = nowMs;
      return 0;
    }
    const startMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = startMs + (bytes / bytesPerSecond) * 1000;
    return startMs - nowMs;
  }
}
