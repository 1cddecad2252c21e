/** What goes when a subvolume's backups are retired: all of them, whatever their state, and all that this tool has stored beside them. */
import type { ListedObject } from '../../format/inventory.ts';
import { manifestKeyOf, parseKey } from '../../format/names.ts';
import { groupBy } from '../../group-by.ts';
import { findGenerations, type Generation } from './generations.ts';
import { chargeFor } from './minimum-duration.ts';
import type { Orphans } from './orphans.ts';
import { allOf, bytesOf, movedAmong, type PruneInput, type PrunePlan, planRemovals } from './prune-plan.ts';

/** A plan that leaves nothing of a subvolume. */
export interface RetirePlan extends PrunePlan {
  /** current.json, which goes before all else, so that nothing names what goes next; undefined when there is none. */
  readonly pointer: ListedObject | undefined;
  /** The backup that it named; another one by the time of deleting was published since. */
  readonly lastKey: string | undefined;
  /** Time of the newest backup, as in its key; undefined when there is none. */
  readonly newestAt: string | undefined;
}

const reason = 'retired';

/** Plans to retire one subvolume. Objects that are not of this tool stay. Nothing is done yet. */
export function planRetire(input: PruneInput): RetirePlan {
  const objects = new Map(input.objects.map((object) => [object.key, object]));
  const { generations } = findGenerations(input.manifests, objects);
  const oldestFirst = [...generations].sort((a, b) => (createdAt(a) < createdAt(b) ? -1 : 1));
  const nothingBegun = { manifestKeys: [], parentKey: undefined };
  const removals = planRemovals(
    { ...input, begun: nothingBegun, manifests: new Map() },
    objects,
    oldestFirst,
    [],
  );
  const removalOf = new Map(removals.map((removal) => [removal.manifest.key, removal]));
  const gone = new Set(removals.flatMap((removal) => allOf(removal).map(({ key }) => key)));
  const times = input.objects.flatMap(({ key }) => {
    const parsed = parseKey(input.prefix, key);
    return parsed?.type === 'manifest' ? [parsed.timestamp] : [];
  });
  return {
    subvolume: input.subvolume,
    blocked: undefined,
    broken: [],
    removals,
    generations: oldestFirst.map((generation) => {
      const held = generation.flatMap(({ key }) => allOf(removalOf.get(key)));
      return {
        key: generation[0].key,
        createdAt: createdAt(generation),
        backups: generation.length,
        objects: held.length,
        bytes: bytesOf(held),
        action: 'remove',
        reason,
        charge: chargeFor(held, input.now, movedAmong(generation, objects)),
      };
    }),
    orphans: othersOf(input, gone),
    lastKey: input.pointer && 'manifestKey' in input.pointer ? input.pointer.manifestKey : undefined,
    pointer: input.objects.find(({ key }) => parseKey(input.prefix, key)?.type === 'current'),
    newestAt: times.sort().at(-1),
  };
}

function createdAt([full]: Generation): string {
  return full.manifest.created_at;
}

/** Backups that cannot be used, chunks without a manifest, and unfinished uploads, by the backup that they are part of. */
function othersOf(
  { prefix, objects, uploads, now }: PruneInput,
  gone: ReadonlySet<string>,
): readonly Orphans[] {
  const keyOf = ({ key }: { readonly key: string }) => manifestKeyOf(prefix, key) ?? '';
  const left = groupBy(
    objects.filter(({ key }) => !gone.has(key)),
    keyOf,
  );
  const begun = groupBy(uploads, keyOf);
  const names = [...new Set([...left.keys(), ...begun.keys()])].filter((key) => key !== '').sort();
  return names.map((manifestKey) => {
    const own = left.get(manifestKey) ?? [];
    const manifestFirst = [...own].sort(
      (a, b) => Number(b.key === manifestKey) - Number(a.key === manifestKey),
    );
    return {
      manifestKey,
      objects: manifestFirst,
      uploads: begun.get(manifestKey) ?? [],
      action: 'remove',
      reason,
      charge: chargeFor(own, now),
    };
  });
}
