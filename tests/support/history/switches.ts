/** Which kinds of steps and edits are on: `OFF=edit-snapshot,very-long-path` switches some off. */
import type { DeterministicRandom } from '../../../testing/harness/deterministic-random.ts';

/** Says whether a step, an edit or a group of them is on. */
export type Switches = (...names: readonly string[]) => boolean;

/** Reads the switches; every name must be one of `known`. */
export function readSwitches(off: string | undefined, known: readonly string[]): Switches {
  const names = (off ?? '').split(',').filter(Boolean);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`OFF names ${unknown.join(', ')}; known are ${known.join(', ')}`);
  return (...asked) => !asked.some((name) => names.includes(name));
}

/** One of a list of weighted things; undefined where all have no weight. */
export function chooseWeighted<Item extends { readonly weight: number }>(
  random: DeterministicRandom,
  items: readonly Item[],
): Item | undefined {
  let left = random.below(
    Math.max(
      1,
      items.reduce((sum, { weight }) => sum + weight, 0),
    ),
  );
  return items.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
}
