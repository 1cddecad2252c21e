/** Gathers differences from several passes over the same trees, keeping a bounded number of them. */
import { differenceAspects, type TreeDifference } from './tree-difference.ts';

/** Differences found so far. */
export interface DifferenceList {
  /** Adds one; of a path that is kept already, the aspects are joined. */
  add(difference: TreeDifference): void;
  /** The first ones, at most as many as the limit. */
  kept(): readonly TreeDifference[];
  /** How many there are; beyond the limit a path counts again in each pass that reports it. */
  total(): number;
}

/** A list that keeps the first `limit` differences and counts all. */
export function createDifferenceList(limit: number): DifferenceList {
  const byPath = new Map<string, TreeDifference>();
  let total = 0;
  return {
    add(difference) {
      const known = byPath.get(difference.path);
      if (known === undefined) total += 1;
      if (known === undefined && byPath.size >= limit) return;
      const found = new Set([...(known?.aspects ?? []), ...difference.aspects]);
      const aspects = differenceAspects.filter((aspect) => found.has(aspect));
      byPath.set(difference.path, { ...difference, aspects });
    },
    kept: () => [...byPath.values()],
    total: () => total,
  };
}
