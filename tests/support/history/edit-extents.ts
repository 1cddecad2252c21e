/** Edits that make files share extents. */
import { chance, choose, chooseEntry, type Edit, type EditPlace, newPath, quoted } from './edit.ts';

const block = 4096;

/** A file to take extents from: in the subvolume itself, or in a snapshot. */
async function chooseSource(
  place: EditPlace,
): Promise<{ readonly sourceRoot: string; readonly source: string; readonly size: number } | undefined> {
  const snapshot = chance(place.random, 40) ? choose(place.random, place.snapshots) : undefined;
  const sourceRoot = snapshot ?? place.root;
  const entries = snapshot ? await place.hands.list(snapshot) : place.entries;
  const source = chooseEntry({ ...place, entries }, 'f');
  if (source === undefined) return undefined;
  return { sourceRoot, source, size: entries.find(({ path }) => path === source)?.size ?? 0 };
}

const named = (place: EditPlace, sourceRoot: string, source: string) =>
  sourceRoot === place.root ? quoted(source) : `${quoted(source)} of a snapshot`;

const reflink: Edit = async (place) => {
  const from = await chooseSource(place);
  if (!from) return undefined;
  const { sourceRoot, source } = from;
  const path = chance(place.random, 30) ? (chooseEntry(place, 'f') ?? newPath(place)) : newPath(place);
  await place.hands.do('reflink', place.root, { source, path, source_root: sourceRoot });
  return `cp --reflink ${named(place, sourceRoot, source)} to ${quoted(path)}`;
};

/** Whole blocks of a source, and where they go. */
function chooseRange({ random }: EditPlace, sourceSize: number, targetSize: number) {
  const blocks = Math.max(1, Math.floor(sourceSize / block));
  const first = random.below(blocks);
  const count = 1 + random.below(Math.min(16, blocks - first));
  const offset = block * random.below(Math.max(1, Math.floor(targetSize / block) + 1));
  return { source_offset: first * block, length: count * block, offset };
}

const cloneRange: Edit = async (place) => {
  const from = await chooseSource(place);
  const path = chooseEntry(place, 'f');
  if (!from || path === undefined || from.size < block) return undefined;
  const size = place.entries.find((entry) => entry.path === path)?.size ?? 0;
  const range = chooseRange(place, from.size, size);
  const { source, sourceRoot } = from;
  await place.hands.do('clone_range', place.root, { source, path, source_root: sourceRoot, ...range });
  return `clone ${range.length} bytes at ${range.source_offset} of ${named(place, sourceRoot, source)} to ${range.offset} of ${quoted(path)}`;
};

/** Two files with equal bytes share them afterwards. */
const dedupe: Edit = async (place) => {
  const from = await chooseSource(place);
  const path = chooseEntry(place, 'f');
  if (!from || path === undefined || from.size < block) return undefined;
  const { source, sourceRoot } = from;
  const length = Math.floor(from.size / block) * block;
  const range = { source_offset: 0, length, offset: 0 };
  const bytes = await place.hands.do('dedupe', place.root, {
    source,
    path,
    source_root: sourceRoot,
    ...range,
  });
  return `dedupe ${quoted(path)} against ${named(place, sourceRoot, source)}: ${bytes} bytes`;
};

/** Writes a file with the bytes of another, so that there is something to dedupe. */
const twins: Edit = async (place) => {
  const [source, path] = [newPath(place), `${newPath(place)}`];
  if (source === path) return undefined;
  const data = { seed: String(place.random.below(1000)), length: block * (1 + place.random.below(8)) };
  for (const twin of [source, path]) await place.hands.do('write', place.root, { path: twin, ...data });
  const range = { source_offset: 0, length: data.length, offset: 0 };
  const bytes = await place.hands.do('dedupe', place.root, { source, path, ...range });
  return `write twins ${quoted(source)} and ${quoted(path)}, and dedupe ${bytes} bytes`;
};

/** The edits, by name. */
export const extentEdits = {
  reflink,
  'clone-range': cloneRange,
  dedupe,
  twins,
} as const satisfies Readonly<Record<string, Edit>>;
