/** One thing that people do, or that happens to them. */
import type { DeterministicRandom } from '../../../testing/harness/deterministic-random.ts';
import type { HistoryWorld } from './history-world.ts';

/** Does it; gives what was done in plain words, or undefined where there is nothing to do it to. */
export type Action = (world: HistoryWorld, random: DeterministicRandom) => Promise<string | undefined>;

/** A kind of step. */
export interface Step {
  readonly action: Action;
  /** How often it is chosen among the steps of its group. */
  readonly weight: number;
}

/** Steps by name. */
export type Steps = Readonly<Record<string, Step>>;

/** The property does not hold: what was published cannot be restored as it was, or a stage broke. */
export class PropertyFailure extends Error {
  override readonly name = 'PropertyFailure';
}
