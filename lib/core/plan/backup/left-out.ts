/** What lies below a subvolume and is no part of its backup: nested subvolumes and mounts. Which of it people want to hear of, and how. */
import picomatch from 'picomatch';
import type { ListedSubvolume } from '../../format/btrfs-output.ts';
import type { Mount } from '../../format/mountinfo.ts';
import { isSubvolumeName } from '../../format/names.ts';
import { printable } from '../../printable.ts';

/** Whether a path, or a directory that it lies in, matches one of some globs. */
export function ignoredBy(globs: readonly string[]): (path: string) => boolean {
  if (globs.length === 0) return () => false;
  const matches = picomatch([...globs], { dot: true });
  return (path) => {
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) if (matches(at)) return true;
    return false;
  };
}

/** Whether a subvolume is where snapshots of another are kept, nested as snapper makes it or beside @ and mounted: it needs no backup. */
export function holdsSnapshotsOf(
  { id, path }: Pick<ListedSubvolume, 'id' | 'path'>,
  outerUuid: string | undefined,
  everything: readonly ListedSubvolume[],
): boolean {
  if (outerUuid === undefined || !/(^|\/)(\.|@[._]?)snapshots$/.test(path)) return false;
  return everything.some(({ containerId, parentUuid }) => containerId === id && parentUuid === outerUuid);
}

/**
 * Subvolumes as they can be written into SUBVOLUMES, beside those that have names there: by path, or as name=/path where the end of the path is
 * no name, or one that is taken. What cannot be written there, because of a comma in its path, is left out.
 */
function subvolumeItems(
  paths: readonly string[],
  takenNames: readonly string[],
): ReadonlyMap<string, string> {
  const taken = new Set([...takenNames, 'lock']);
  const items = new Map<string, string>();
  for (const path of paths) {
    if (path.includes(',') || path.trim() !== path || printable(path) !== path) continue;
    const ending = path.slice(path.lastIndexOf('/') + 1);
    const isName = isSubvolumeName(ending) && !taken.has(ending);
    const name = isName ? ending : freeName(path, taken);
    taken.add(name);
    items.set(path, isName ? path : `${name}=${path}`);
  }
  return items;
}

/** A name that is free: of as many of the last parts of a path as that takes, or with a number. */
function freeName(path: string, taken: ReadonlySet<string>): string {
  const parts = path.split('/').flatMap((part) => part.replace(/[^A-Za-z0-9._-]+/g, '-') || []);
  const names = parts.map((_, index) => parts.slice(-1 - index).join('-'));
  const last = (names.at(-1) ?? 'root').slice(0, 150);
  for (let number = 1; ; number++) {
    const found = [...names, number === 1 ? last : `${last}-${number}`].find(
      (name) => isSubvolumeName(name) && !taken.has(name),
    );
    if (found !== undefined) return found;
  }
}

const silence = 'IGNORE_NESTED names what needs no warning';

/**
 * The line for nested subvolumes; undefined where there are none.
 * @param takenNames of SUBVOLUMES
 * @param unmounted the place below the top level of the outer one, where that is mounted nowhere
 */
export function nestedLine(
  paths: readonly string[],
  takenNames: readonly string[],
  unmounted: string | undefined,
): string | undefined {
  if (paths.length === 0) return undefined;
  const what = 'nested subvolumes are not part of this backup:';
  if (unmounted !== undefined) {
    return `${what} ${firstFew(paths)}, below the top level of the filesystem; mount ${unmounted} to back them up; ${silence}`;
  }
  const items = subvolumeItems(paths, takenNames);
  const written = paths.map((path) => items.get(path) ?? path);
  return `${what} ${firstFew(written)}; add them to SUBVOLUMES as they stand here; ${silence}`;
}

/**
 * The line for mounts, Btrfs first: what people take for a part of `/`, and is not, as /home, /var or a data disk. Undefined where there
 * are none.
 * @param subvolumes the mount points among them that can be backed up
 */
export function mountsLine(
  outer: string,
  mounts: readonly Pick<Mount, 'target' | 'source' | 'root' | 'type'>[],
  subvolumes: readonly string[],
  takenNames: readonly string[],
): string | undefined {
  if (mounts.length === 0) return undefined;
  const isBtrfs = ({ type }: Pick<Mount, 'type'>) => type === 'btrfs';
  const inOrder = [...mounts.filter(isBtrfs), ...mounts.filter((mount) => !isBtrfs(mount))];
  const named = inOrder.map(({ target, source, root, type }) => {
    const directory = root === '/' ? '' : `[${root}]`;
    return `${target} (${type} on ${source}${directory})`;
  });
  const items = [...subvolumeItems(subvolumes, takenNames).values()];
  const cure = items.length > 0 ? `add to SUBVOLUMES: ${firstFew(items)}; ` : '';
  return `what is mounted below ${outer} is not part of this backup: ${firstFew(named)}; ${cure}${silence}`;
}

const mostNamed = 5;

function firstFew(words: readonly string[]): string {
  const named = words.slice(0, mostNamed).join(', ');
  const others = words.length - mostNamed;
  return others > 0 ? `${named} and ${others} more` : named;
}
