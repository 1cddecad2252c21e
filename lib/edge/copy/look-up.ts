/** Whether a path is in a tree, and what of it is, where it is not. No link is followed: it would lead out of the tree. */
import { readdir, readlink } from 'node:fs/promises';
import { namesOf } from '../../core/extract/wanted-paths.ts';
import { entryAt, pathBelow } from './byte-path.ts';

/** A path that is there, or why it is not; paths are byte strings (latin1). */
export type LookedUp =
  | { readonly path: string; readonly isThere: true }
  | {
      readonly path: string;
      readonly isThere: false;
      /** The deepest directory of it that is there. */
      readonly nearest: string;
      /** Names in that directory, where it has not too many. */
      readonly names: readonly string[];
      /** What stands where the path needs a directory. */
      readonly obstacle: Obstacle | undefined;
    };

interface Obstacle {
  readonly path: string;
  /** Where it points, as a byte string, for a symbolic link. */
  readonly linkTarget: string | undefined;
}

const mostNames = 10_000;

/** Looks for a path below a directory, which is the top of a tree. @throws ToolError when something cannot be read */
export async function lookUp(tree: string, path: string): Promise<LookedUp> {
  const names = namesOf(path);
  for (const index of names.keys()) {
    const here = names.slice(0, index + 1);
    const entry = await entryAt(pathBelow(tree, here));
    const isLast = index + 1 === names.length;
    if (entry && (isLast || entry.isDirectory())) continue;
    const nearest = names.slice(0, index);
    const obstacle = entry && {
      path: `/${here.join('/')}`,
      linkTarget: entry.isSymbolicLink()
        ? (await readlink(pathBelow(tree, here), 'buffer')).toString('latin1')
        : undefined,
    };
    return {
      path,
      isThere: false,
      nearest: `/${nearest.join('/')}`,
      names: await some(tree, nearest),
      obstacle,
    };
  }
  return { path, isThere: true };
}

/** The paths of what is in the top directory. */
export async function topPaths(tree: string): Promise<readonly string[]> {
  return (await readdir(tree, 'buffer')).map((name) => `/${name.toString('latin1')}`).sort();
}

async function some(tree: string, names: readonly string[]): Promise<readonly string[]> {
  const found = await readdir(pathBelow(tree, names), 'buffer');
  return found.length > mostNames ? [] : found.map((name) => name.toString('latin1'));
}
