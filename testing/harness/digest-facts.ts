/** What a digest made by treeDigest holds, and how two of them differ, in numbers that a person can read. */
import { formatCount, formatSize } from '../../lib/core/units.ts';

/** Begins every field list: the type, then the mode. */
const typeField = / {2}(file|directory|symlink|fifo|socket|block-device|character-device) {2}mode=/;
const attributeField = / {2}(?:user|trusted|security|system|btrfs)\.[^=]*/g;

/** Paths by what happened to them between two digests. */
export interface DigestDifference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/** `1,034 entries: 402 files (38.1 MiB), 60 directories, …`. */
export function describeDigest(digest: readonly string[]): string {
  const types = digest.map((line) => typeField.exec(line)?.[1] ?? 'unknown');
  const count = (...names: readonly string[]) => types.filter((type) => names.includes(type)).length;
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
  const bytes = sum(digest.map((line) => Number(/ {2}size=(\d+) .*sha256=/.exec(line)?.[1] ?? 0)));
  const hardLinked = digest.filter((line) => line.includes('  linked-with=')).length;
  const attributes = sum(digest.map((line) => line.match(attributeField)?.length ?? 0));
  const special = count('fifo', 'socket', 'block-device', 'character-device');
  return [
    `${digest.length.toLocaleString('en-US')} entries: ${formatCount(count('file'), 'file')} (${formatSize(bytes)})`,
    `${count('directory').toLocaleString('en-US')} directories`,
    formatCount(count('symlink'), 'symlink'),
    formatCount(special, 'special file'),
    formatCount(hardLinked, 'hard-linked name'),
    formatCount(attributes, 'extended attribute'),
  ].join(', ');
}

/** How to get from one digest to another. */
export function compareDigests(before: readonly string[], after: readonly string[]): DigestDifference {
  const [old, current] = [byPath(before), byPath(after)];
  return {
    added: [...current.keys()].filter((path) => !old.has(path)),
    removed: [...old.keys()].filter((path) => !current.has(path)),
    changed: [...current].flatMap(([path, line]) => (old.has(path) && old.get(path) !== line ? [path] : [])),
  };
}

/**
 * Demands that a tree is what it was.
 * @throws with the first paths that differ.
 */
export function demandEqual(expected: readonly string[], actual: readonly string[], where: string): void {
  const { added, removed, changed } = compareDigests(expected, actual);
  const differences = [
    ...changed.map((path) => `${path} differs`),
    ...removed.map((path) => `${path} is missing`),
    ...added.map((path) => `${path} should not be there`),
  ];
  if (differences.length === 0 && expected.length === actual.length) return;
  const shown = differences.slice(0, 5).join('; ');
  throw new Error(`${where} has ${formatCount(differences.length, 'difference')}: ${shown}`);
}

function byPath(digest: readonly string[]): Map<string, string> {
  return new Map(digest.map((line) => [line.slice(0, typeField.exec(line)?.index), line]));
}
