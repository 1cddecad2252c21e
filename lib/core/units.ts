/** Sizes and durations as people write them in settings and read them in messages. */

const sizeFactors = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;
const durationFactors = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

export const KIB = sizeFactors.KiB;
export const MIB = sizeFactors.MiB;
export const GIB = sizeFactors.GiB;
export const TIB = sizeFactors.TiB;

/** Milliseconds of a day. */
export const DAY_MS = durationFactors.d * 1000;

/** Bytes of a size such as `64MiB`, `5 GiB` or `1048576`; undefined when it is not one. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15}) ?(KiB|MiB|GiB|TiB|)$/.exec(text.trim());
  if (!match) return undefined;
  const bytes = Number(match[1]) * sizeFactors[match[2] as keyof typeof sizeFactors];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Seconds of a duration such as `90s`, `30m`, `72h` or `7d`; undefined when it is not one. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9}) ?([smhd])$/.exec(text.trim());
  if (!match) return undefined;
  return Number(match[1]) * durationFactors[match[2] as keyof typeof durationFactors];
}

/** A size in bytes for people: three significant digits and a binary unit. */
export function formatSize(bytes: number): string {
  const unit = (['TiB', 'GiB', 'MiB', 'KiB'] as const).find((name) => bytes >= sizeFactors[name]);
  if (!unit) return `${bytes} B`;
  const value = bytes / sizeFactors[unit];
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
}

/** A duration in seconds for people: `41s`, `3m 05s`, `2h 10m`, `4d 03h`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d ${pad(Math.floor((whole % 86_400) / 3600))}h`;
}

/** `1 chunk`, `2,000 chunks`: a count with its noun, thousands separated. */
export function formatCount(count: number, noun: string): string {
  return `${groupThousands(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `12,345`. Not by `toLocaleString`: its first call loads what ICU knows of languages, 13 ms of each start (node --cpu-prof). */
function groupThousands(whole: number): string {
  return String(whole).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
