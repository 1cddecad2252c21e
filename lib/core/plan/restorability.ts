/**
 * The one judge of whether a backup can be restored, by all that a restore checks without reading bytes: its manifest, its chunks,
 * and each link of its chain. List, verify, prune and the plan of the next backup ask it.
 */
import type { Manifest, ManifestChunk } from '../format/manifest.ts';
import { judgeChains, linkProblem } from './chain.ts';
import { chunkProblem, type DescribedObject, isWorthReading } from './chunk-problem.ts';

/** A manifest that was read, or why it cannot be used. */
export type ReadManifest = Manifest | UnusableManifest;

/** A manifest that was not read. One that is archived may be sound: it has to be thawed to tell. */
export interface UnusableManifest {
  readonly unusable: string;
  readonly isArchived?: boolean;
}

/** What is known of a chunk's object. */
export interface ChunkState {
  /** Why no reading can help: it is missing, or of another size. */
  readonly lost?: string | undefined;
  /** Why only its bytes can tell whether it is what was uploaded. */
  readonly doubt?: string | undefined;
}

/** The judgement of one backup. */
export type Verdict =
  | {
      readonly whyNot?: undefined;
      /** Key of the full backup at the beginning of its chain, and how many backups lie between. */
      readonly root: string;
      readonly depth: number;
      /** Something of the chain, the first that was met, that only its bytes can settle. */
      readonly doubt: string | undefined;
    }
  | {
      readonly whyNot: string;
      /** What is wrong at the bottom of it, where that is something else: with a backup that it builds on. */
      readonly cause: string;
      /** True when the fault is its own, and not that of what it builds on. */
      readonly isOwn: boolean;
      /** True when nothing is known to be wrong: a manifest of the chain is archived, and a thaw will tell. */
      readonly isArchived: boolean;
    };

/** What a listing or a look at objects says of a chunk. */
export function chunkState(chunk: ManifestChunk, object: DescribedObject | undefined): ChunkState {
  const problem = chunkProblem(chunk, object);
  if (problem === undefined) return {};
  const text = `chunk ${chunk.key} ${problem}`;
  return isWorthReading(chunk, object) ? { doubt: text } : { lost: text };
}

/**
 * Judges every backup after the one that it builds on, by key.
 * @param faultOf what is known to be wrong with a backup beside its chunks, by key.
 */
export function judgeRestorability(
  manifests: ReadonlyMap<string, ReadManifest>,
  stateOf: (chunk: ManifestChunk) => ChunkState,
  faultOf: (key: string) => string | undefined = () => undefined,
): ReadonlyMap<string, Verdict> {
  const usable = (key: string | null) => {
    const manifest = manifests.get(key ?? '');
    return manifest && !('unusable' in manifest) ? manifest : undefined;
  };
  const judge = (key: string, onParent: Verdict | undefined): Verdict => {
    const read = manifests.get(key);
    if (read && 'unusable' in read) return ownFault(read.unusable, read.isArchived);
    const manifest = usable(key);
    if (!manifest) return ownFault('it is missing');
    const fault = faultOf(key);
    if (fault !== undefined) return ownFault(fault);
    let doubt: string | undefined;
    for (const chunk of manifest.chunks) {
      const state = stateOf(chunk);
      if (state.lost !== undefined) return ownFault(state.lost);
      doubt ??= state.doubt;
    }
    const parentKey = manifest.parent_manifest;
    if (parentKey === null) return { root: key, depth: 0, doubt };
    const parent = usable(parentKey);
    if (onParent?.whyNot !== undefined && onParent.isArchived) {
      const cause = onParent.isOwn ? `its parent ${parentKey} ${onParent.cause}` : onParent.cause;
      return inherited(`it builds on ${parentKey}`, cause, true);
    }
    if (!parent || !onParent) return inherited(`its parent ${parentKey} is missing or damaged`);
    const problem = linkProblem({ key, manifest }, { key: parentKey, manifest: parent });
    if (problem) return inherited(`its chain is broken: ${problem}`);
    if (onParent.whyNot !== undefined) return inherited(`it builds on ${parentKey}`, onParent.cause);
    return { root: onParent.root, depth: onParent.depth + 1, doubt: onParent.doubt ?? doubt };
  };
  const parentOf = (key: string) => usable(key)?.parent_manifest ?? null;
  return judgeChains(
    manifests.keys(),
    parentOf,
    judge,
    inherited('its chain is broken: it builds on itself'),
  );
}

function ownFault(whyNot: string, isArchived = false): Verdict {
  return { whyNot, cause: whyNot, isOwn: true, isArchived };
}

function inherited(whyNot: string, cause = whyNot, isArchived = false): Verdict {
  return { whyNot, cause, isOwn: false, isArchived };
}
