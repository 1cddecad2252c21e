/** Rates as people write them: of a line in bits, of a program in bytes. */
import { parseSize } from './units.ts';

const bitFactors = { kbit: 1e3, Mbit: 1e6, Gbit: 1e9 } as const;

/** Bytes a second of a rate such as `20Mbit`, `2.5Mbit/s` or `10MiB`; undefined when it is none. */
export function parseRate(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,6})?) ?(kbit|Mbit|Gbit)(?:\/s)?$/.exec(text.trim());
  if (match) {
    const bytes = (Number(match[1]) * bitFactors[match[2] as keyof typeof bitFactors]) / 8;
    return bytes > 0 ? bytes : undefined;
  }
  return parseSize(text.replace(/\/s$/, '')) || undefined;
}
