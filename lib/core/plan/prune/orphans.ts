/**
 * Orphans: objects and uploads below our own keys that no manifest names. A run that is under way leaves the same, so that
 * they are presumed in use until proven orphaned, or old.
 */
import type { BegunUpload, ListedObject } from '../../format/inventory.ts';
import { manifestKeyOf } from '../../format/names.ts';
import { DAY_MS } from '../../units.ts';
import { type Charge, chargeFor } from './minimum-duration.ts';

/** Age at which an orphan goes, in days, by the server's clock. */
export const ORPHAN_DAYS = 7;

/** The orphans of one backup. */
export interface Orphans {
  /** Key of the manifest that the backup has, would have had, or had before it was pruned. */
  readonly manifestKey: string;
  readonly objects: readonly ListedObject[];
  readonly uploads: readonly BegunUpload[];
  readonly action: 'remove' | 'keep';
  readonly reason: string;
  /** Undefined for what is kept. Parts of uploads that were not completed are charged for no longer than they are there. */
  readonly charge: Charge | undefined;
}

/** What distinguishes an orphan from a chunk that is in use. Manifests are named by their keys. */
export interface OrphanRules {
  readonly prefix: string;
  /** The host's, which differs by less than 15 minutes: S3 refuses a request that is signed by another clock. */
  readonly now: Date;
  /** Backups that have a manifest; an object of theirs that it does not name was left by an earlier attempt. */
  readonly published: ReadonlySet<string>;
  /** Backups about which nothing can be said, because their manifests cannot be used. */
  readonly untouchable: ReadonlySet<string>;
  /** Backups whose manifests are missing, although something builds on them or names them as the last: they may come back. */
  readonly missing: ReadonlySet<string>;
  /** Why it is not known what is needed. */
  readonly neededUnknown: string | undefined;
  /** Backups that this host has begun and will resume. */
  readonly begun: ReadonlySet<string>;
  /** Why it is not known which backups this host has begun. */
  readonly begunUnknown: string | undefined;
  /** Backups whose manifests an earlier prune has removed. */
  readonly pruned: ReadonlySet<string>;
}

/** Decides on orphans: those of a backup without a manifest go together, when the youngest of them is old enough. */
export function planOrphans(
  objects: readonly ListedObject[],
  uploads: readonly BegunUpload[],
  rules: OrphanRules,
): readonly Orphans[] {
  const groups = new Map<string, Group>();
  const groupOf = (key: string): Group | undefined => {
    const manifestKey = manifestKeyOf(rules.prefix, key);
    if (manifestKey === undefined) return undefined;
    // What lies beside a manifest is judged alone: the backup is finished, nothing of it grows any more.
    const name = rules.published.has(manifestKey) ? key : manifestKey;
    const group = groups.get(name) ?? { manifestKey, objects: [], uploads: [] };
    groups.set(name, group);
    return group;
  };
  for (const object of objects) groupOf(object.key)?.objects.push(object);
  for (const upload of uploads) groupOf(upload.key)?.uploads.push(upload);
  return [...groups.values()].map((group) => {
    const decision = decide(group, rules);
    const charge = decision.action === 'remove' ? chargeFor(group.objects, rules.now) : undefined;
    return { ...group, ...decision, charge };
  });
}

interface Group {
  readonly manifestKey: string;
  readonly objects: ListedObject[];
  readonly uploads: BegunUpload[];
}

function decide(group: Group, rules: OrphanRules): Pick<Orphans, 'action' | 'reason'> {
  const { manifestKey } = group;
  const keep = (reason: string) => ({ action: 'keep' as const, reason });
  if (rules.untouchable.has(manifestKey)) return keep('its manifest cannot be used');
  if (rules.begun.has(manifestKey)) return keep('this host will resume it');
  if (rules.begunUnknown !== undefined) return keep(rules.begunUnknown);
  if (rules.missing.has(manifestKey)) return keep('its manifest is missing, and is needed');
  if (rules.pruned.has(manifestKey)) return { action: 'remove', reason: 'left by an interrupted prune' };
  if (rules.neededUnknown !== undefined) return keep(rules.neededUnknown);
  const times = [
    ...group.objects.map(({ modifiedAt }) => modifiedAt),
    ...group.uploads.map(({ initiatedAt }) => initiatedAt),
  ].map((time) => (time ?? rules.now).getTime());
  const youngest = times.reduce((latest, time) => Math.max(latest, time), 0);
  const removableAt = youngest + ORPHAN_DAYS * DAY_MS;
  if (removableAt < rules.now.getTime()) {
    return { action: 'remove', reason: `named by no manifest, older than ${ORPHAN_DAYS} days` };
  }
  const day = new Date(removableAt).toISOString().replace(/:\d\d\.\d{3}Z$/, 'Z');
  return keep(`named by no manifest, younger than ${ORPHAN_DAYS} days until ${day}`);
}
