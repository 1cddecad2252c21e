/** From single runs to one line: pure. */
import { GIB, MIB } from '../../../lib/core/units.ts';

/** What one run took. */
export interface Measurement {
  readonly seconds: number;
  /** User and system time of all processes that the command waited for. What the kernel's own threads do is not in it. */
  readonly cpuSeconds: number;
  /** The most memory that any single one of its processes had resident. */
  readonly peakBytes: number;
  /** From the first byte of the stream that passed the sink to the last; undefined where none did. */
  readonly passingSeconds?: number | undefined;
}

/** The middle value; the mean of the two in the middle where their count is even. @throws when there is none */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  if (low === undefined || high === undefined) throw new Error('the median of nothing');
  return (low + high) / 2;
}

/** All rounds of one candidate over so many bytes. */
export interface Summary {
  /** Of the median time. */
  readonly mibPerSecond: number;
  /** Of the slowest and of the fastest round. */
  readonly range: readonly [slowest: number, fastest: number];
  /** Of the median time in which the stream passed the sink; undefined where it did not. */
  readonly passingMibPerSecond: number | undefined;
  readonly cpuSecondsPerGib: number;
  /** The largest of all rounds: a promise of memory holds for each. */
  readonly peakBytes: number;
}

/** Speed and processor time as medians, memory as the maximum. @throws when there is no run */
export function summarise(runs: readonly Measurement[], bytes: number): Summary {
  const speed = (seconds: number) => bytes / MIB / seconds;
  const seconds = runs.map((run) => run.seconds);
  const passing = runs.flatMap(({ passingSeconds }) => passingSeconds ?? []);
  return {
    mibPerSecond: speed(median(seconds)),
    range: [speed(Math.max(...seconds)), speed(Math.min(...seconds))],
    passingMibPerSecond: passing.length > 0 ? speed(median(passing)) : undefined,
    cpuSecondsPerGib: median(runs.map((run) => run.cpuSeconds)) / (bytes / GIB),
    peakBytes: Math.max(...runs.map((run) => run.peakBytes)),
  };
}

/**
 * Seconds of user and system time in what bash's `times` prints: four values such as `0m1.250s`, of the shell and of its children.
 * Some locales write the fraction with a comma.
 * @throws when it is not that.
 */
export function parseTimes(output: string): number {
  const values = [...output.matchAll(/(\d+)m(\d+)[.,](\d+)s/g)];
  if (values.length !== 4) throw new Error(`this is not what bash's times prints: ${JSON.stringify(output)}`);
  return values.reduce(
    (sum, [, minutes, seconds, fraction]) => sum + Number(minutes) * 60 + Number(`${seconds}.${fraction}`),
    0,
  );
}

/**
 * What one unit more costs, from each point to the next: the slope between neighbours. The first point has none.
 * @param points by rising amount.
 */
export function perUnit(
  points: readonly (readonly [amount: number, cost: number])[],
): readonly (number | undefined)[] {
  return points.map(([amount, cost], index) => {
    const before = points[index - 1];
    return before && (cost - before[1]) / (amount - before[0]);
  });
}
