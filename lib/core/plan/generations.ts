/**
 * Generations: a full backup and all that builds on it, by links alone. What cannot be restored belongs to none: nobody can
 * say what it is worth, so that it is left to its owner.
 */

import type { ListedObject } from '../format/inventory.ts';
import type { Manifest, StoredManifest } from '../format/manifest.ts';
import { groupBy } from '../group-by.ts';
import { judgeChains, linkProblem } from './chain.ts';
import { chunkProblem } from './chunk-problem.ts';

/** A manifest that was read, or why it cannot be used. */
export type ReadManifest = Manifest | { readonly unusable: string };

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
}

type Verdict =
  | { readonly problem: string }
  | { readonly problem?: undefined; readonly root: string; readonly depth: number };

/** Sorts the manifests of one subvolume, by key, into generations and what is broken; `objects` is what the bucket has. */
export function findGenerations(
  manifests: ReadonlyMap<string, ReadManifest>,
  objects: ReadonlyMap<string, ListedObject>,
): { readonly generations: readonly Generation[]; readonly broken: readonly BrokenBackup[] } {
  const parentOf = (key: string) => {
    const manifest = manifests.get(key);
    return !manifest || 'unusable' in manifest ? null : manifest.parent_manifest;
  };
  const judge = (key: string, parent: Verdict | undefined) => verdictOf(key, manifests, objects, parent);
  const verdicts = judgeChains<Verdict>(manifests.keys(), parentOf, judge, {
    problem: 'it is its own ancestor',
  });
  const sound: { readonly root: string; readonly backup: ChainedBackup }[] = [];
  const broken: BrokenBackup[] = [];
  for (const [key, manifest] of manifests) {
    const verdict = verdicts.get(key) ?? { problem: 'it is not there' };
    if ('unusable' in manifest) broken.push({ key, problem: manifest.unusable });
    else if (verdict.problem !== undefined) broken.push({ key, problem: verdict.problem });
    else {
      const { root, depth } = verdict;
      sound.push({ root, backup: { key, manifest, depth } });
    }
  }
  const generations = [...groupBy(sound, ({ root }) => root).values()].flatMap((members) => {
    const [full, ...rest] = members.map(({ backup }) => backup).sort((a, b) => a.depth - b.depth);
    return full ? [[full, ...rest] as const] : [];
  });
  return { generations, broken };
}

function verdictOf(
  key: string,
  manifests: ReadonlyMap<string, ReadManifest>,
  objects: ReadonlyMap<string, ListedObject>,
  parentVerdict: Verdict | undefined,
): Verdict {
  const manifest = manifests.get(key);
  if (!manifest) return { problem: 'it is not there' };
  if ('unusable' in manifest) return { problem: manifest.unusable };
  for (const chunk of manifest.chunks) {
    const object = objects.get(chunk.key);
    const problem = chunkProblem(chunk, object && { ...object, sha256: undefined });
    if (problem) return { problem: `chunk ${chunk.key} ${problem}` };
  }
  const parentKey = manifest.parent_manifest;
  if (parentKey === null) return { root: key, depth: 0 };
  const parent = manifests.get(parentKey);
  if (!parent) return { problem: `its parent ${parentKey} is missing` };
  if ('unusable' in parent || !parentVerdict || parentVerdict.problem !== undefined) {
    return { problem: `it builds on ${parentKey}, which cannot be used` };
  }
  const problem = linkProblem({ key, manifest }, { key: parentKey, manifest: parent });
  return problem ? { problem } : { root: parentVerdict.root, depth: parentVerdict.depth + 1 };
}
