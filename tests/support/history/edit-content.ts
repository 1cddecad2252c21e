/** Edits of what files hold. */
import { chance, choose, chooseEntry, type Edit, type EditPlace, newPath, quoted } from './edit.ts';

const mib = 2 ** 20;
/** FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE and FALLOC_FL_ZERO_RANGE (linux/falloc.h). */
const [keepSize, punchHole, zeroRange] = [1, 2, 16];

/** Around the border up to which Btrfs keeps a file in its metadata, and around a page. */
const sizes = [0, 1, 100, 2047, 2048, 2049, 4095, 4096, 4097, 12_288, 65_536];

function someSize({ random }: EditPlace): number {
  return chance(random, 50) ? (choose(random, sizes) ?? 0) : random.below(60_000);
}

/** In a file, or somewhat behind its end. */
function someOffset({ random, entries }: EditPlace, path: string): number {
  const size = entries.find((entry) => entry.path === path)?.size ?? 0;
  const offset = random.below(size + 20_000);
  return chance(random, 50) ? offset - (offset % 4096) : offset;
}

const seedOf = ({ random }: EditPlace) => String(random.below(2 ** 31));

const writeFile: Edit = async (place) => {
  const path = newPath(place);
  const length = someSize(place);
  const repeats = chance(place.random, 30);
  await place.hands.do('write', place.root, { path, seed: seedOf(place), length, repeats });
  return `write ${length} bytes to the new file ${quoted(path)}`;
};

const writeBigFile: Edit = async (place) => {
  const path = newPath(place);
  const length = 5 * mib + place.random.below(3 * mib);
  await place.hands.do('write', place.root, { path, seed: seedOf(place), length });
  return `write ${length} bytes to the new file ${quoted(path)}`;
};

const overwrite: Edit = async (place) => {
  const path = chooseEntry(place, 'f');
  if (path === undefined) return undefined;
  const [offset, length] = [someOffset(place, path), 1 + someSize(place)];
  await place.hands.do('write', place.root, { path, seed: seedOf(place), length, offset });
  return `write ${length} bytes at ${offset} of ${quoted(path)}`;
};

const rewrite: Edit = async (place) => {
  const path = chooseEntry(place, 'f');
  if (path === undefined) return undefined;
  const length = someSize(place);
  await place.hands.do('write', place.root, { path, seed: seedOf(place), length, truncate: true });
  return `write ${quoted(path)} anew with ${length} bytes`;
};

const append: Edit = async (place) => {
  const path = chooseEntry(place, 'f');
  if (path === undefined) return undefined;
  const length = 1 + someSize(place);
  await place.hands.do('write', place.root, { path, seed: seedOf(place), length, append: true });
  return `append ${length} bytes to ${quoted(path)}`;
};

const truncateFile: Edit = async (place) => {
  const path = chooseEntry(place, 'f');
  if (path === undefined) return undefined;
  const length = chance(place.random, 20) ? 0 : someOffset(place, path);
  await place.hands.do('truncate', place.root, { path, length });
  return `truncate ${quoted(path)} to ${length}`;
};

const allocations = [
  ['punch a hole', punchHole | keepSize],
  ['preallocate', 0],
  ['preallocate beyond the end', keepSize],
  ['zero', zeroRange],
  ['zero and keep the size', zeroRange | keepSize],
] as const;

const allocate: Edit = async (place) => {
  const path = chooseEntry(place, 'f');
  const [what, mode] = choose(place.random, allocations) ?? allocations[0];
  if (path === undefined) return undefined;
  const [offset, length] = [someOffset(place, path), 1 + someSize(place)];
  await place.hands.do('fallocate', place.root, { path, mode, offset, length });
  return `${what} in ${quoted(path)}: ${length} bytes at ${offset}`;
};

/** The edits, by name. */
export const contentEdits = {
  'write-file': writeFile,
  'write-big-file': writeBigFile,
  overwrite,
  rewrite,
  append,
  truncate: truncateFile,
  allocate,
} as const satisfies Readonly<Record<string, Edit>>;
