/** Chains: a full backup and the incrementals on it, linked by manifest key and by UUID. */
import { ToolError } from '../errors.ts';
import type { Manifest, StoredManifest } from '../format/manifest.ts';
import { streamUuid } from '../format/manifest.ts';
import { formatTimestamp, parseTimestamp } from '../format/names.ts';

/** Longest chain that is followed. Weekly incrementals on one full for 190 years. */
export const MAX_CHAIN_LENGTH = 10_000;

/**
 * Follows parents from a manifest back to its full backup; the result begins with the full.
 * @param load gives the manifest stored at a key, or throws when there is none.
 * @throws ToolError (damage) on a loop, a link that does not fit, or a chain without end.
 */
export async function followChain(
  newest: StoredManifest,
  load: (key: string) => Promise<Manifest>,
): Promise<readonly StoredManifest[]> {
  const chain: StoredManifest[] = [newest];
  const seen = new Set([newest.key]);
  for (let child = newest; child.manifest.parent_manifest !== null; ) {
    const key = child.manifest.parent_manifest;
    if (seen.has(key)) throw brokenChain(newest.key, `${key} is its own ancestor`);
    if (chain.length >= MAX_CHAIN_LENGTH) throw brokenChain(newest.key, 'it is endless');
    seen.add(key);
    const parent = { key, manifest: await load(key) };
    const problem = linkProblem(child, parent);
    if (problem) throw brokenChain(newest.key, problem);
    chain.push(parent);
    child = parent;
  }
  return chain.reverse();
}

/**
 * Why a manifest cannot be the parent that another names, or undefined when it can. Times play no part: a clock that
 * went backwards must not make a sound chain unusable.
 */
export function linkProblem(child: StoredManifest, parent: StoredManifest): string | undefined {
  if (parent.manifest.subvolume !== child.manifest.subvolume) {
    return `${parent.key} belongs to subvolume "${parent.manifest.subvolume}"`;
  }
  const expected = child.manifest.snapshot.parent_uuid;
  const { uuid } = parent.manifest.snapshot;
  if (expected && uuid && expected !== uuid && expected !== streamUuid(parent.manifest.snapshot)) {
    return `${child.key} was sent against snapshot ${expected}, but ${parent.key} holds ${uuid}`;
  }
  const { parent_transid, parent_continued } = child.manifest.snapshot;
  // A copy has a state of its own; it was held against the backup when it was taken for its parent.
  if (parent_continued) return undefined;
  const { transid } = parent.manifest.snapshot;
  if (parent_transid !== undefined && transid !== undefined && parent_transid !== transid) {
    return `${child.key} was sent against state ${parent_transid} of its parent snapshot, but ${parent.key} holds state ${transid}`;
  }
  return undefined;
}

/** Whether two manifests record the states by which their link can be judged; older ones do not. */
export function recordsLink(child: Manifest, parent: Manifest): boolean {
  if (child.snapshot.parent_continued) return true;
  return child.snapshot.parent_transid !== undefined && parent.snapshot.transid !== undefined;
}

/**
 * Judges every manifest after the one that it builds on, so that each is looked at once however long its chain, and without
 * recursion.
 * @param parentOf key of what a manifest builds on; null for a full backup, and where it is unknown.
 * @param judge gets the verdict of the parent; undefined for one without.
 * @param loop the verdict of what is its own ancestor.
 */
export function judgeChains<Verdict>(
  keys: Iterable<string>,
  parentOf: (key: string) => string | null,
  judge: (key: string, parent: Verdict | undefined) => Verdict,
  loop: Verdict,
): ReadonlyMap<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  for (const key of keys) {
    const walked = new Set<string>();
    for (let at: string | null = key; at !== null && !verdicts.has(at); at = parentOf(at)) {
      if (walked.has(at)) verdicts.set(at, loop);
      walked.add(at);
    }
    for (const each of [...walked].reverse()) {
      if (!verdicts.has(each)) verdicts.set(each, judge(each, verdicts.get(parentOf(each) ?? '')));
    }
  }
  return verdicts;
}

/** The newest of the timestamps that is not later than a moment; undefined when all are later. */
export function newestNotLater<Item extends { readonly timestamp: string }>(
  items: readonly Item[],
  moment: Date,
): Item | undefined {
  const limit = formatTimestamp(moment);
  return items
    .filter((item) => parseTimestamp(item.timestamp) !== undefined && item.timestamp <= limit)
    .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1))
    .at(-1);
}

function brokenChain(key: string, problem: string): ToolError {
  return new ToolError(`the chain of ${key} is broken: ${problem}`, {
    kind: 'damage',
    hint: 'choose another point with AT= or MANIFEST=; make verify shows which still work',
  });
}
