/**
 * What a prune removes of one subvolume. Whatever the clocks said, nothing goes that something else needs: what stays takes
 * all of its ancestors with it, a generation goes whole or not at all, and where it cannot be known what is needed, nothing goes.
 */

import type { BegunUpload, ListedObject } from '../../format/inventory.ts';
import { manifestKeyOf, parseKey } from '../../format/names.ts';
import { groupBy } from '../../group-by.ts';
import type { ReadManifest, UnusableManifest } from '../restorability.ts';
import { type BrokenBackup, findGenerations, type Generation } from './generations.ts';
import { type Charge, chargeFor } from './minimum-duration.ts';
import { type Orphans, planOrphans } from './orphans.ts';

/** What this host has begun of a subvolume and not published. */
export interface BegunBackups {
  /** Keys of the manifests that they will have. */
  readonly manifestKeys: readonly string[];
  /** The backup that they build on. */
  readonly parentKey: string | undefined;
  /** Why this is not known. */
  readonly unknown?: string;
}

/** All that is known of a subvolume. */
export interface PruneInput {
  readonly prefix: string;
  readonly subvolume: string;
  /** Generations to keep: KEEP_GENERATIONS. */
  readonly keep: number;
  readonly now: Date;
  /** Everything below the subvolume's own keys; other objects are ignored. */
  readonly objects: readonly ListedObject[];
  readonly uploads: readonly BegunUpload[];
  /** By key, in any order. */
  readonly manifests: ReadonlyMap<string, ReadManifest>;
  /** What current.json says; undefined when there is none. */
  readonly pointer: { readonly manifestKey: string } | UnusableManifest | undefined;
  readonly begun: BegunBackups;
  /** Keys of manifests that an earlier prune of this host has removed, or was about to. */
  readonly pruned: readonly string[];
}

/** A generation, and what becomes of it. */
export interface PlannedGeneration {
  /** Key of the full backup's manifest. */
  readonly key: string;
  readonly createdAt: string;
  readonly backups: number;
  readonly objects: number;
  readonly bytes: number;
  readonly action: 'keep' | 'remove';
  readonly reason: string;
  /** Undefined for what is kept. */
  readonly charge: Charge | undefined;
}

/** A backup that goes: its manifest first, then the objects that are its own alone. */
export interface Removal {
  readonly manifest: ListedObject;
  readonly parentKey: string | null;
  /** What builds on it has a larger one, and goes before. */
  readonly depth: number;
  readonly objects: readonly ListedObject[];
}

/** Why it is not known what is needed: something in the bucket is damaged, or archived, or a file of this host. */
export interface Blockage {
  readonly where: 'bucket' | 'archive' | 'host';
  readonly problem: string;
}

/** The plan for a subvolume. */
export interface PrunePlan {
  readonly subvolume: string;
  /** Why no generation goes, whatever is beyond the rule. */
  readonly blocked: Blockage | undefined;
  /** Oldest first, by what their keys say. */
  readonly generations: readonly PlannedGeneration[];
  readonly broken: readonly BrokenBackup[];
  readonly orphans: readonly Orphans[];
  /** What builds on something comes before it. */
  readonly removals: readonly Removal[];
}

const neededUnknown = 'it is not known what is needed';

/** Plans the prune of one subvolume. Nothing is done yet. */
export function planPrune(input: PruneInput): PrunePlan {
  const objects = new Map(input.objects.map((object) => [object.key, object]));
  const { generations, broken } = findGenerations(input.manifests, objects);
  const blocked = blockedBecause(input);
  const needs = whyNeeded(input, broken);
  const oldestFirst = [...generations].sort((a, b) => (createdAt(a) < createdAt(b) ? -1 : 1));
  const newest = new Set(oldestFirst.slice(-input.keep));
  const decided = oldestFirst.map((generation) => {
    const needed = generation.map(({ key }) => needs.get(key)).find((reason) => reason !== undefined);
    const among = newest.has(generation) ? `among the newest ${input.keep}` : undefined;
    const reason = needed ?? among ?? (blocked && neededUnknown);
    return { generation, reason };
  });
  const going = decided.flatMap(({ generation, reason }) => (reason === undefined ? [generation] : []));
  const removals = planRemovals(input, objects, going, broken);
  const byManifest = new Map(removals.map((removal) => [removal.manifest.key, removal]));
  return {
    subvolume: input.subvolume,
    blocked,
    generations: decided.map(({ generation, reason }) => {
      const held =
        reason === undefined
          ? generation.flatMap(({ key }) => allOf(byManifest.get(key)))
          : generation.flatMap((backup) => objectsNamedBy(backup, objects));
      return {
        key: generation[0].key,
        createdAt: createdAt(generation),
        backups: generation.length,
        objects: held.length,
        bytes: bytesOf(held),
        action: reason === undefined ? 'remove' : 'keep',
        reason: reason ?? `beyond the newest ${input.keep}`,
        charge:
          reason === undefined ? chargeFor(held, input.now, movedAmong(generation, objects)) : undefined,
      };
    }),
    broken,
    orphans: orphansBeside(input, removals, broken, blocked),
    removals,
  };
}

/** Sizes of objects together, in bytes. */
export function bytesOf(objects: readonly ListedObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Everything that goes with a backup. */
export function allOf(removal: Removal | undefined): readonly ListedObject[] {
  return removal ? [removal.manifest, ...removal.objects] : [];
}

function createdAt([full]: Generation): string {
  return full.manifest.created_at;
}

function blockedBecause(input: PruneInput): Blockage | undefined {
  const { prefix, manifests, pointer, begun } = input;
  if (manifests.size === 0 && !pointer) return undefined;
  if (begun.unknown !== undefined) return { where: 'host', problem: begun.unknown };
  const inBucket = (problem: string, isArchived = false): Blockage => ({
    where: isArchived ? 'archive' : 'bucket',
    problem,
  });
  if (!pointer) return inBucket('current.json is missing, so that it is not known which backup is the last');
  if ('unusable' in pointer) return inBucket(`current.json ${pointer.unusable}`, pointer.isArchived);
  if (!manifests.has(pointer.manifestKey)) {
    return inBucket(`current.json names ${pointer.manifestKey}, which is missing`);
  }
  // They may come back, from an earlier version of the object or read by a later version of this tool.
  const unread = [...manifests].flatMap(([key, manifest]) => ('unusable' in manifest ? [key] : []));
  const obscure = [...unread, ...missingManifests(input)].filter((key) => isIncremental(prefix, key));
  const isArchived = (key: string) => {
    const manifest = manifests.get(key);
    return manifest !== undefined && 'unusable' in manifest && manifest.isArchived === true;
  };
  // Damage is reported first.
  const worst = obscure.find((key) => !isArchived(key)) ?? obscure[0];
  if (worst === undefined) return undefined;
  return inBucket(`it is not known what ${worst} builds on`, isArchived(worst));
}

function isIncremental(prefix: string, key: string): boolean {
  const parsed = parseKey(prefix, key);
  return parsed?.type === 'manifest' && parsed.kind === 'incremental';
}

/** Manifests that must stay, with the reason: what stays, and all that it builds on by the links alone. */
function whyNeeded(input: PruneInput, broken: readonly BrokenBackup[]): ReadonlyMap<string, string> {
  const needs = new Map<string, string>();
  const need = (from: string, reason: string) => {
    for (let key: string | null = from; key !== null && !needs.has(key); ) {
      needs.set(key, reason);
      const manifest: ReadManifest | undefined = input.manifests.get(key);
      key = !manifest || 'unusable' in manifest ? null : manifest.parent_manifest;
    }
  };
  if (input.pointer && 'manifestKey' in input.pointer)
    need(input.pointer.manifestKey, 'the last backup is in it');
  for (const key of input.begun.manifestKeys) {
    if (input.manifests.has(key)) need(key, 'this host is about to publish it');
  }
  if (input.begun.parentKey !== undefined) need(input.begun.parentKey, 'an unfinished backup builds on it');
  for (const { key } of broken) need(key, `${key} builds on it, which cannot be used`);
  return needs;
}

/** The backups of generations that go, each before what it builds on, with the objects that nothing else needs. */
export function planRemovals(
  input: PruneInput,
  objects: ReadonlyMap<string, ListedObject>,
  going: readonly Generation[],
  broken: readonly BrokenBackup[],
): readonly Removal[] {
  const backups = going.flat();
  const goes = new Set(backups.map(({ key }) => key));
  const stays = new Set<string>();
  for (const [key, manifest] of input.manifests) {
    if (goes.has(key) || 'unusable' in manifest) continue;
    for (const chunk of manifest.chunks) stays.add(chunk.key);
  }
  const untouchable = new Set([...broken.map(({ key }) => key), ...input.begun.manifestKeys]);
  const beside = groupBy(input.objects, ({ key }) => manifestKeyOf(input.prefix, key));
  return backups
    .sort((a, b) => b.depth - a.depth)
    .flatMap(({ key, manifest, depth }) => {
      const stored = objects.get(key);
      if (!stored) return [];
      const named = manifest.chunks.flatMap((chunk) => objects.get(chunk.key) ?? []);
      const own = new Set([...named, ...(beside.get(key) ?? [])]);
      const mayGo = (object: ListedObject) =>
        object !== stored &&
        !stays.has(object.key) &&
        !untouchable.has(manifestKeyOf(input.prefix, object.key) ?? '');
      return [
        { manifest: stored, parentKey: manifest.parent_manifest, depth, objects: [...own].filter(mayGo) },
      ];
    });
}

function objectsNamedBy(
  { key, manifest }: Generation[number],
  objects: ReadonlyMap<string, ListedObject>,
): readonly ListedObject[] {
  return [key, ...manifest.chunks.map((chunk) => chunk.key)].flatMap((name) => objects.get(name) ?? []);
}

/** Chunks that lie in another class than they were stored in, by key. */
export function movedAmong(
  generation: Generation,
  objects: ReadonlyMap<string, ListedObject>,
): ReadonlySet<string> {
  const moved = generation.flatMap(({ manifest: { chunks, s3 } }) =>
    chunks.filter(({ key }) => {
      const now = objects.get(key)?.storageClass;
      return now !== undefined && s3.storage_class !== undefined && now !== s3.storage_class;
    }),
  );
  return new Set(moved.map(({ key }) => key));
}

function orphansBeside(
  input: PruneInput,
  removals: readonly Removal[],
  broken: readonly BrokenBackup[],
  blocked: Blockage | undefined,
): readonly Orphans[] {
  const known = new Set(removals.flatMap((removal) => allOf(removal).map(({ key }) => key)));
  for (const [key, manifest] of input.manifests) {
    known.add(key);
    if (!('unusable' in manifest)) for (const chunk of manifest.chunks) known.add(chunk.key);
  }
  const hasManifest = (key: string) => input.manifests.has(manifestKeyOf(input.prefix, key) ?? '');
  const isOrphan = ({ key }: ListedObject) => {
    const type = known.has(key) ? undefined : parseKey(input.prefix, key)?.type;
    return type === 'chunk' || ((type === 'index' || type === 'signature') && !hasManifest(key));
  };
  return planOrphans(input.objects.filter(isOrphan), input.uploads, {
    prefix: input.prefix,
    now: input.now,
    published: new Set(input.manifests.keys()),
    untouchable: new Set(broken.map(({ key }) => key)),
    missing: missingManifests(input),
    neededUnknown: blocked && neededUnknown,
    begun: new Set(input.begun.manifestKeys),
    begunUnknown: input.begun.unknown,
    pruned: new Set(input.pruned),
  });
}

/** What is named as parent or as the last backup, and has no manifest. A prune of ours removes what builds on a manifest before it. */
function missingManifests({ manifests, pointer, begun }: PruneInput): ReadonlySet<string> {
  const parents = [...manifests.values()].flatMap((one) =>
    'unusable' in one ? [] : (one.parent_manifest ?? []),
  );
  const last = pointer && 'manifestKey' in pointer ? [pointer.manifestKey] : [];
  const named = [...parents, ...last, ...(begun.parentKey === undefined ? [] : [begun.parentKey])];
  return new Set(named.filter((key) => !manifests.has(key)));
}
