/** The words for paths that a backup does not have. */
import { closest, distance } from 'fastest-levenshtein';
import { ToolError } from '../../../core/errors.ts';
import { byteString, isBelow, namesOf, shownPath } from '../../../core/extract/wanted-paths.ts';
import type { Manifest } from '../../../core/format/manifest.ts';
import type { LookedUp } from '../../../edge/copy/look-up.ts';
import type { StageContext } from '../../context.ts';
import { findNestedBackups } from '../nested-backups.ts';

export type Absent = Extract<LookedUp, { readonly isThere: false }>;

/** Why a path is not there: what is instead, and how far it is there. */
export function whyAbsent({ path, nearest, names, obstacle }: Absent): string {
  const shown = shownPath(path);
  if (obstacle?.linkTarget !== undefined) {
    return `${shown} is not in the backup: ${shownPath(obstacle.path)} is a symbolic link to ${shownPath(obstacle.linkTarget)}; name the path that it leads to`;
  }
  if (obstacle) return `${shown} is not in the backup: ${shownPath(obstacle.path)} is no directory there`;
  const name = namesOf(path)[namesOf(nearest).length] ?? '';
  const like = names.length > 0 ? closest(name, names) : undefined;
  const isLike = like !== undefined && distance(name, like) <= Math.max(name.length, like.length) / 2;
  const guess = isLike ? ` (which has ${shownPath(like)})` : '';
  return `${shown} is not in the backup; the nearest directory that is: ${shownPath(nearest)}${guess}`;
}

/** The failure for paths that are not there. */
export function absentPaths(absent: readonly Absent[]): ToolError {
  const hint = 'paths begin at the top of the subvolume: /u in a backup of /home is what /home/u was';
  const [only, ...others] = absent.map(whyAbsent);
  if (only !== undefined && others.length === 0) return new ToolError(only, { hint });
  return new ToolError([only, ...others].join('\n'), { isList: true, hint });
}

/**
 * Refuses paths in nested subvolumes, which no stream carries.
 * @throws ToolError that names the backup which has them
 */
export async function refuseNested(
  context: StageContext,
  manifest: Manifest,
  paths: readonly string[],
): Promise<void> {
  const nested = manifest.snapshot.nested ?? [];
  for (const path of paths) {
    const around = nested.find(({ path: below }) => {
      const top = `/${byteString(below)}`;
      return path === top || isBelow(path, top);
    });
    if (!around) continue;
    const found = (await findNestedBackups(context, manifest)).find((each) => each.path === around.path);
    const below = `/${shownPath(path.slice(byteString(around.path).length + 2))}`;
    throw new ToolError(
      `${shownPath(path)} is in the nested subvolume /${around.path}, which is no part of this backup`,
      {
        kind: 'usage',
        hint: found?.backup
          ? `it is backed up as "${found.backup.subvolume}": make extract SUBVOLUME=${found.backup.subvolume} PATHS=${below}`
          : 'no backup under this prefix has it',
      },
    );
  }
}
