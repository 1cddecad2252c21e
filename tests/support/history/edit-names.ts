/** Edits of which entries there are, and under which names. */
import { chance, chooseEntry, type Edit, newPath, quoted } from './edit.ts';

const link: Edit = async (place) => {
  const source = chooseEntry(place, 'flpsc');
  if (source === undefined) return undefined;
  const path = newPath(place);
  await place.hands.do('link', place.root, { source, path });
  return `link ${quoted(source)} as ${quoted(path)}`;
};

const symlink: Edit = async (place) => {
  const path = newPath(place);
  const target = chance(place.random, 30)
    ? 'l/'.repeat(1 + place.random.below(2000))
    : (chooseEntry(place, 'fdl') ?? 'nowhere').slice(-1000);
  await place.hands.do('symlink', place.root, { path, target });
  return `symlink ${quoted(path)} to ${quoted(target)}`;
};

const rename: Edit = async (place) => {
  const source = chooseEntry(place, 'fdlpsc');
  if (source === undefined) return undefined;
  const path = newPath(place);
  await place.hands.do('rename', place.root, { source, path });
  return `rename ${quoted(source)} to ${quoted(path)}`;
};

const swapNames: Edit = async (place) => {
  const [source, path] = [chooseEntry(place, 'fdlps'), chooseEntry(place, 'fdlps')];
  if (source === undefined || path === undefined || source === path) return undefined;
  await place.hands.do('rename', place.root, { source, path, exchange: true });
  return `swap the names ${quoted(source)} and ${quoted(path)}`;
};

const renameOver: Edit = async (place) => {
  const [source, path] = [chooseEntry(place, 'f'), chooseEntry(place, 'flp')];
  if (source === undefined || path === undefined || source === path) return undefined;
  await place.hands.do('rename', place.root, { source, path });
  return `rename ${quoted(source)} over ${quoted(path)}`;
};

const replaceByDirectory: Edit = async (place) => {
  const path = chooseEntry(place, 'flps');
  if (path === undefined) return undefined;
  await place.hands.do('remove', place.root, { path });
  await place.hands.do('mkdir', place.root, { path });
  await place.hands.do('write', place.root, { path: `${path}/a`, seed: 'inside', length: 10 });
  return `replace ${quoted(path)} by a directory with a file`;
};

const replaceByFile: Edit = async (place) => {
  const path = chooseEntry(place, 'dls');
  if (path === undefined) return undefined;
  await place.hands.do('remove', place.root, { path });
  await place.hands.do('write', place.root, { path, seed: 'was another', length: 3000 });
  return `replace ${quoted(path)} by a file`;
};

const replaceByLink: Edit = async (place) => {
  const path = chooseEntry(place, 'fd');
  if (path === undefined) return undefined;
  await place.hands.do('remove', place.root, { path });
  await place.hands.do('symlink', place.root, { path, target: 'a' });
  return `replace ${quoted(path)} by a symlink`;
};

const remove: Edit = async (place) => {
  const path = chooseEntry(place, 'flpscb');
  if (path === undefined) return undefined;
  await place.hands.do('remove', place.root, { path });
  return `remove ${quoted(path)}`;
};

const removeTree: Edit = async (place) => {
  const path = chooseEntry(place, 'd');
  if (path === undefined) return undefined;
  await place.hands.do('remove', place.root, { path });
  return `remove the directory ${quoted(path)} with all below`;
};

const mkdir: Edit = async (place) => {
  const path = newPath(place);
  await place.hands.do('mkdir', place.root, { path });
  return `make the directory ${quoted(path)}`;
};

/** Puts an entry's parent below the entry: a rename that btrfs send has to take apart. */
const turnInsideOut: Edit = async (place) => {
  const path = place.entries.find(({ type, path }) => type === 'd' && path.includes('/'))?.path;
  if (path === undefined) return undefined;
  const parent = path.slice(0, path.lastIndexOf('/'));
  const outside = `turned-${place.random.below(100)}`;
  await place.hands.do('rename', place.root, { source: path, path: outside });
  await place.hands.do('rename', place.root, { source: parent, path: `${outside}/turned` });
  return `rename ${quoted(path)} to ${quoted(outside)}, and ${quoted(parent)} to ${quoted(`${outside}/turned`)}`;
};

const makeSpecial: Edit = async (place) => {
  const path = newPath(place);
  const kinds = ['fifo', 'socket', 'character', 'block'] as const;
  const kind = kinds[place.random.below(kinds.length)] ?? 'fifo';
  const [major, minor] = [1 + place.random.below(250), place.random.below(300)];
  await place.hands.do('mknod', place.root, { path, kind, major, minor });
  return `make a ${kind} node ${quoted(path)} (${major}:${minor})`;
};

/** Up to about 3,000 bytes deep. */
const makeChain: Edit = async (place) => {
  const path = newPath(place);
  const [depth, length] = [1 + place.random.below(12), 1 + place.random.below(250)];
  await place.hands.do('mkdirs', place.root, { path, name: 'd'.repeat(length), depth });
  return `make ${depth} directories with names of ${length} below ${quoted(path)}`;
};

/** About as long as the 4,095 bytes that a path may have in a call of the kernel, to which `btrfs receive` adds some. */
const makeVeryLongPath: Edit = async (place) => {
  const path = newPath(place);
  const depth = 18;
  const bytes = 3950 + place.random.below(200);
  const length = Math.min(255, Math.floor((bytes - path.length - '/bottom'.length) / depth) - 1);
  await place.hands.do('mkdirs', place.root, { path, name: 'v'.repeat(length), depth });
  return `make ${depth} directories with names of ${length} below ${quoted(path)}`;
};

/** The edits, by name. */
export const nameEdits = {
  link,
  symlink,
  rename,
  'swap-names': swapNames,
  'rename-over': renameOver,
  'replace-by-directory': replaceByDirectory,
  'replace-by-file': replaceByFile,
  'replace-by-link': replaceByLink,
  remove,
  'remove-tree': removeTree,
  mkdir,
  'turn-inside-out': turnInsideOut,
  'make-special': makeSpecial,
  'make-chain': makeChain,
  'very-long-path': makeVeryLongPath,
} as const satisfies Readonly<Record<string, Edit>>;
