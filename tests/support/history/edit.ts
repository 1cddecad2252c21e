/** What an edit works on, and how it chooses: the same choices for the same seed and the same tree. */
import type { DeterministicRandom } from '../../../testing/harness/deterministic-random.ts';
import type { Entry, Hands } from './hands.ts';

/** Where an edit happens. */
export interface EditPlace {
  readonly hands: Hands;
  readonly random: DeterministicRandom;
  /** The subvolume that is edited. */
  readonly root: string;
  readonly entries: readonly Entry[];
  /** Subvolumes of the same filesystem from which extents may be cloned. */
  readonly snapshots: readonly string[];
}

/** Edits the place; gives what was done in plain words, or undefined where there is nothing to do it to. */
export type Edit = (place: EditPlace) => Promise<string | undefined>;

/** One of a list, or undefined when it is empty. */
export function choose<Item>(random: DeterministicRandom, items: readonly Item[]): Item | undefined {
  return items[random.below(Math.max(1, items.length))];
}

/** True so many times in a hundred. */
export function chance(random: DeterministicRandom, percent: number): boolean {
  return random.below(100) < percent;
}

/** The path of an entry of these types, such as `fd`. */
export function chooseEntry({ random, entries }: EditPlace, types: string): string | undefined {
  // Deep chains would otherwise be most of the tree.
  const shallow = entries.filter(({ path }) => path.length < 1500);
  const inReach = chance(random, 90) ? shallow : entries;
  return choose(
    random,
    inReach.filter(({ type }) => types.includes(type)),
  )?.path;
}

/** Few names, so that they are used again, and those that break what splits lines or trusts UTF-8. */
const names = [
  'a',
  'b',
  'c',
  'd',
  'e',
  'f',
  'g',
  'with space',
  'line\nbreak',
  '\xe9\xff',
  'ü',
  `${'n'.repeat(255)}`,
];

/** A path at which there may be nothing yet, in a directory that is there. */
export function newPath(place: EditPlace): string {
  const directory = chance(place.random, 60) ? chooseEntry(place, 'd') : undefined;
  const free = names.map((name) => (directory === undefined ? name : `${directory}/${name}`));
  const taken = new Set(place.entries.map(({ path }) => path));
  return (
    choose(
      place.random,
      free.filter((path) => !taken.has(path)),
    ) ?? `${directory ?? '.'}/extra-${place.random.below(1000)}`
  );
}

/** A path for people. */
export function quoted(path: string): string {
  return JSON.stringify(path.length > 60 ? `${path.slice(0, 30)}…${path.slice(-20)}` : path);
}
