/** Listings and manifests of one subvolume, from which a prune is planned. */

import type { ListedObject } from '../../lib/core/format/inventory.ts';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { type PruneInput, type PrunePlan, planPrune } from '../../lib/core/plan/prune/prune-plan.ts';
import type { ReadManifest } from '../../lib/core/plan/restorability.ts';
import { dayStamp, keys, manifestOfDay, prefix, subvolume, uuidOf } from './samples.ts';

const now = new Date('2026-02-01T00:00:00Z');

/** A backup of a day, full or on that of another day. */
export function backup(day: number, parentDay?: number, changes: Partial<Manifest> = {}): Manifest {
  const kind = parentDay === undefined ? 'full' : 'incremental';
  const manifest = manifestOfDay(day, kind);
  const parent = parentDay === undefined ? null : keyOf(parentDay);
  const snapshot = {
    ...manifest.snapshot,
    parent_uuid: parentDay === undefined ? null : uuidOf(parentDay),
  };
  return { ...manifest, snapshot, parent_manifest: parent, ...changes };
}

const fulls = [1, 10, 20];

/** Of the manifest of a day: fulls of days 1, 10 and 20; everything between is incremental. */
export const keyOf = (day: number) =>
  keys.manifest(fulls.includes(day) ? 'full' : 'incremental', dayStamp(day));

/** An object as a listing has it. */
export const object = (key: string, day: number, sizeBytes = 1): ListedObject => ({
  key,
  sizeBytes,
  etag: '',
  storageClass: 'STANDARD',
  modifiedAt: new Date(Date.UTC(2026, 0, day, 2)),
});

/** Three generations of days 1-3, 10-11 and 20-21, the last of which is the current one. */
export const threeGenerations = [
  backup(1),
  backup(2, 1),
  backup(3, 2),
  backup(10),
  backup(11, 10),
  backup(20),
  backup(21, 20),
];

/** What a plan is made of; what is not said is as in the three generations. */
export interface Scene extends Partial<Omit<PruneInput, 'objects' | 'manifests'>> {
  readonly backups?: readonly Manifest[];
  readonly unusable?: readonly string[];
  /** Beside what the manifests name. */
  readonly more?: readonly ListedObject[];
  readonly without?: readonly string[];
}

/** The plan for a scene, at the end of January. */
export function plan({
  backups = threeGenerations,
  unusable = [],
  more = [],
  without = [],
  ...rest
}: Scene = {}): PrunePlan {
  const manifests = new Map<string, ReadManifest>(
    backups.map((manifest) => [keys.manifest(manifest.kind, manifest.created_at), manifest]),
  );
  for (const key of unusable) manifests.set(key, { unusable: 'is not JSON' });
  const day = (manifest: Manifest) => Number(manifest.created_at.slice(6, 8));
  const objects = [
    ...[...manifests.keys()].map((key) => object(key, 1, 10)),
    ...backups.flatMap((manifest) =>
      manifest.chunks.map(({ key, size }) => object(key, day(manifest), size)),
    ),
    ...more,
  ];
  return planPrune({
    prefix,
    subvolume,
    keep: 2,
    now,
    uploads: [],
    pointer: { manifestKey: keyOf(21) },
    begun: { manifestKeys: [], parentKey: undefined },
    pruned: [],
    ...rest,
    manifests,
    objects: objects.filter(({ key }) => !without.includes(key)),
  });
}
