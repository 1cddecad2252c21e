/** Subvolumes that a glob finds: the snapshots that another program takes. They are only looked at. */
import { basename } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { formatCount } from '../../core/units.ts';
import { fileError, pathExists } from '../files/files.ts';
import { type FoundSubvolume, subvolumeAt, subvolumesAmong } from './btrfs.ts';
import { refuseMissingMount } from './mounts/missing-mount.ts';
import { mountOf } from './mounts/mounts.ts';

/** What a glob finds. */
export interface MatchingSubvolumes {
  readonly found: readonly FoundSubvolume[];
  /** Paths that match and are not UTF-8, so that neither a child process nor a manifest can be given them. */
  readonly unnameable: readonly string[];
}

/**
 * Finds the subvolumes whose path matches a glob. Links are not followed; what is deleted meanwhile is left out.
 * @throws ToolError when there is none, and says what there is instead.
 */
export async function findMatchingSubvolumes(pattern: string): Promise<MatchingSubvolumes> {
  const hint = 'check SUBVOLUMES, and whether the filesystem is mounted';
  const paths = await matchingPaths(pattern).catch((cause: unknown) => {
    throw fileError(`cannot look for snapshots at ${pattern}`, cause, hint);
  });
  const [first] = paths;
  if (first === undefined) {
    await refuseMissingMount('', pattern);
    throw new ToolError(`no directory matches ${pattern}`, { hint });
  }
  // With snapper there may be hundreds.
  const shown = await subvolumesAmong(paths);
  const looked: (FoundSubvolume | string | undefined)[] = [];
  for (const path of paths) looked.push(shown.get(path) ?? (await lookAt(path)));
  const found = looked.flatMap((each) => (typeof each === 'object' ? [each] : []));
  const unnameable = looked.flatMap((each) => (typeof each === 'string' ? [each] : []));
  if (found.length > 0) return { found, unnameable };
  if (unnameable[0] !== undefined)
    throw new ToolError(`${unnameable[0]} is not UTF-8 and cannot be backed up`);
  const { source, type } = await mountOf(first);
  if (type !== 'btrfs') throw new ToolError(`${first} is ${type} on ${source}, not Btrfs`, { hint });
  const which = `of ${formatCount(paths.length, 'path')} that match ${pattern}`;
  throw new ToolError(`${which}, such as ${first}, none is a Btrfs subvolume`, {
    hint: 'SUBVOLUMES must name the snapshots themselves: name=snapshots:/home/.snapshots/*/snapshot',
  });
}

/** The directories whose paths match a glob. Links are not followed. @throws the system's error */
export async function matchingPaths(pattern: string): Promise<readonly string[]> {
  // Only here: with what comes along it takes as long to load as all else of zx.
  const { glob } = await import('zx');
  return glob(pattern, { onlyDirectories: true, followSymbolicLinks: false, expandDirectories: false });
}

/** The subvolume at a path, the path itself when it cannot be named, or undefined. */
async function lookAt(path: string): Promise<FoundSubvolume | string | undefined> {
  if (!(await pathExists(path))) return path.includes('\uFFFD') ? path : undefined;
  const found = await subvolumeAt(path, basename(path)).catch(async (error: unknown) => {
    // Deleted since, or a directory of another filesystem that has the inode number of a subvolume.
    if (!(await pathExists(path)) || (await mountOf(path)).type !== 'btrfs') return undefined;
    throw error;
  });
  return found;
}
