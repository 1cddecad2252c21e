/**
 * Generations: a full backup and all that builds on it, by links alone. What cannot be restored belongs to none: no one can
 * say what it is worth, so that it is left to its owner.
 */

import type { ListedObject } from '../../format/inventory.ts';
import type { ManifestChunk, StoredManifest } from '../../format/manifest.ts';
import { groupBy } from '../../group-by.ts';
import { chunkState, judgeRestorability, type ReadManifest } from '../restorability.ts';

/** A backup with how many others are between it and its full one: 0 for the full one, 1 for what builds on it. */
export interface ChainedBackup extends StoredManifest {
  readonly depth: number;
}

/** The full backup comes first, and everything after what it builds on. */
export type Generation = readonly [ChainedBackup, ...ChainedBackup[]];

/** A backup that cannot be restored. */
export interface BrokenBackup {
  readonly key: string;
  readonly problem: string;
  /** True when nothing is known to be wrong, but that a manifest has to be thawed to tell. */
  readonly isArchived?: boolean;
}

/** Sorts the manifests of one subvolume, by key, into generations and what is broken; `objects` is what the bucket has. */
export function findGenerations(
  manifests: ReadonlyMap<string, ReadManifest>,
  objects: ReadonlyMap<string, ListedObject>,
): { readonly generations: readonly Generation[]; readonly broken: readonly BrokenBackup[] } {
  const stateOf = (chunk: ManifestChunk) => {
    const object = objects.get(chunk.key);
    return chunkState(chunk, object && { ...object, sha256: undefined });
  };
  const verdicts = judgeRestorability(manifests, stateOf);
  const sound: { readonly root: string; readonly backup: ChainedBackup }[] = [];
  const broken: BrokenBackup[] = [];
  for (const [key, manifest] of manifests) {
    const verdict = verdicts.get(key);
    // What only its bytes could settle is not deleted either.
    const problem = verdict?.whyNot ?? verdict?.doubt;
    const mark = verdict?.whyNot !== undefined && verdict.isArchived ? { isArchived: true } : {};
    if ('unusable' in manifest) broken.push({ key, problem: manifest.unusable, ...mark });
    else if (!verdict || verdict.whyNot !== undefined || problem !== undefined) {
      broken.push({ key, problem: problem ?? 'it was not judged', ...mark });
    } else sound.push({ root: verdict.root, backup: { key, manifest, depth: verdict.depth } });
  }
  const generations = [...groupBy(sound, ({ root }) => root).values()].flatMap((members) => {
    const [full, ...rest] = members.map(({ backup }) => backup).sort((a, b) => a.depth - b.depth);
    return full ? [[full, ...rest] as const] : [];
  });
  return { generations, broken };
}
