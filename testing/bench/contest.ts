/** Lets the candidates of one direction run in turns, so that what else the machine does meets them all alike. */
import type { Candidate, Contest } from './candidates.ts';
import { measure } from './measure/meter.ts';
import type { Measurement } from './measure/statistics.ts';
import type { RunningSink } from './sink/start-sink.ts';

/** All rounds of one candidate. */
export interface Result {
  readonly name: string;
  readonly role: Candidate['role'];
  readonly runs: readonly Measurement[];
}

/** What a contest is held with. */
export interface ContestOptions {
  readonly rounds: number;
  readonly sink: RunningSink;
  readonly streamBytes: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/**
 * Runs every candidate once a round, each round beginning with another one. A round before the first is not counted: it makes bundles
 * and fills caches, so that every program starts as it does the second time.
 * @throws when a candidate fails, or has not moved the whole stream: speed that comes of doing less is none.
 */
export async function hold(
  { direction, candidates, clear }: Contest,
  options: ContestOptions,
): Promise<readonly Result[]> {
  const { rounds, signal, say } = options;
  const runs = candidates.map(() => [] as Measurement[]);
  for (let round = 0; round <= rounds; round += 1) {
    for (let turn = 0; turn < candidates.length; turn += 1) {
      const index = (Math.max(round - 1, 0) + turn) % candidates.length;
      const candidate = candidates[index];
      if (!candidate) continue;
      const run = await measureOne(candidate, direction, options).finally(clear);
      if (round > 0) runs[index]?.push(run);
      say(`${direction} ${round}/${rounds}  ${candidate.name}: ${run.seconds.toFixed(1)} s`);
      signal.throwIfAborted();
    }
  }
  return candidates.map(({ name, role }, index) => ({ name, role, runs: runs[index] ?? [] }));
}

async function measureOne(
  { name, command, prepare, passesSink, leastBytes }: Candidate,
  direction: Contest['direction'],
  { sink, streamBytes, signal }: ContestOptions,
): Promise<Measurement> {
  await prepare?.();
  await sink.counts();
  const run = await measure(command, signal);
  const { receivedBytes, sentBytes, passingMs } = await sink.counts();
  const moved = direction === 'upload' ? receivedBytes : sentBytes;
  const least = leastBytes ?? streamBytes;
  if (passesSink && moved < least) {
    throw new Error(`${name} exited 0, but moved ${moved} of ${least} bytes`);
  }
  return { ...run, ...(passesSink && { passingSeconds: passingMs / 1000 }) };
}
