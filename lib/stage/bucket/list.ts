/** Every backup in the bucket, from the bucket alone, and whether it can be restored now. */
import pMap from 'p-map';
import type { Manifest } from '../../core/format/manifest.ts';
import { parseKey } from '../../core/format/names.ts';
import { judgeChains, linkProblem } from '../../core/plan/chain.ts';
import { chunkProblem, isWorthReading } from '../../core/plan/chunk-problem.ts';
import type { ThawState } from '../../core/thaw/archive-classes.ts';
import { addProgress, type ThawObject, type ThawProgress, thawProgress } from '../../core/thaw/thaw-plan.ts';
import { type ListedObject, listObjects } from '../../edge/s3/objects.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import { thawStates } from '../../edge/s3/thaw-requests.ts';
import type { StageContext } from '../context.ts';
import { everythingAmong, findPointer, REQUESTS_AT_ONCE, readForOverview, rootOf } from './backups.ts';

/** Whether the chain of a backup can be read now, or why it cannot be restored at all. */
export type Restorability =
  | {
      readonly thaw: ThawProgress;
      /** Why only its bytes can tell whether it is what was uploaded; undefined when nothing speaks against it. */
      readonly doubt: string | undefined;
    }
  | { readonly whyNot: string };

/** One backup; `problem` instead of numbers when its manifest cannot be used. */
export interface ListedBackup {
  readonly subvolume: string;
  readonly created_at: string;
  readonly kind: 'full' | 'incremental';
  readonly manifest_key: string;
  readonly parent_manifest: string | null;
  readonly bytes: number;
  readonly chunks: number;
  /** Class of its own chunks, as they lie in the bucket by now; several when a lifecycle rule has moved some. */
  readonly storage_class: string | null;
  /** True for the backup that current.json names. */
  readonly current: boolean;
  readonly restorability: Restorability;
  readonly problem?: string;
}

/** Lists the backups of one subvolume or of all, oldest first within a subvolume. */
export async function listBackups(
  context: StageContext,
  subvolume?: string,
): Promise<readonly ListedBackup[]> {
  const { bucket } = context;
  return backupsAmong(bucket, await listObjects(bucket, rootOf(bucket, subvolume)));
}

/** The backups under the bucket's prefix that a listing holds. @throws ToolError when one cannot be asked about */
export async function backupsAmong(
  bucket: Bucket,
  listed: readonly ListedObject[],
): Promise<readonly ListedBackup[]> {
  const { keys } = everythingAmong(
    bucket.prefix,
    listed.map(({ key }) => key),
  );
  const names = [...new Set(keys.map((key) => key.subvolume))].sort();
  const pointers = await pMap(names, (name) => findPointer(bucket, name), { concurrency: REQUESTS_AT_ONCE });
  const current = new Set(
    pointers.map((read) => (read && 'pointer' in read ? read.pointer.manifest_key : undefined)),
  );
  const read = await pMap(keys, async ({ key }) => [key, await readForOverview(bucket, key)] as const, {
    concurrency: REQUESTS_AT_ONCE,
  });
  const manifests = new Map(read.flatMap(([key, one]) => ('unusable' in one ? [] : [[key, one] as const])));
  const unusable = new Map(
    read.flatMap(([key, one]) => ('unusable' in one ? [[key, one.unusable] as const] : [])),
  );
  const chunkKeys = listed.flatMap(({ key }) =>
    parseKey(bucket.prefix, key)?.type === 'chunk' ? [key] : [],
  );
  const states = await thawStates(bucket, listed, new Set(chunkKeys), REQUESTS_AT_ONCE);
  const objects = new Map(listed.map((object) => [object.key, object]));
  const restorable = restorabilities(manifests, objects, states);
  const backups = keys.map(({ key, subvolume: name, kind, timestamp }): ListedBackup => {
    const known = {
      subvolume: name,
      created_at: timestamp,
      kind,
      manifest_key: key,
      current: current.has(key),
    };
    const manifest = manifests.get(key);
    if (!manifest) {
      const problem = unusable.get(key) ?? 'was not read';
      const nothing = { parent_manifest: null, bytes: 0, chunks: 0, storage_class: null };
      return { ...known, ...nothing, restorability: { whyNot: problem }, problem };
    }
    return {
      ...known,
      parent_manifest: manifest.parent_manifest,
      bytes: manifest.total_bytes,
      chunks: manifest.chunks.length,
      storage_class: classesOf(manifest, objects),
      restorability: restorable.get(key) ?? { whyNot: 'was not read' },
    };
  });
  return backups.sort((a, b) => (a.subvolume === b.subvolume ? 0 : a.subvolume < b.subvolume ? -1 : 1));
}

function classesOf({ chunks, s3 }: Manifest, objects: ReadonlyMap<string, ListedObject>): string | null {
  const classes = new Set(chunks.flatMap(({ key }) => objects.get(key)?.storageClass ?? []));
  return classes.size > 0 ? [...classes].sort().join(',') : (s3.storage_class ?? null);
}

/** Of every backup whose manifest can be read: each is judged once, after what it builds on. */
function restorabilities(
  manifests: ReadonlyMap<string, Manifest>,
  objects: ReadonlyMap<string, ListedObject>,
  states: ReadonlyMap<string, ThawState>,
): ReadonlyMap<string, Restorability> {
  const parentOf = (key: string) => manifests.get(key)?.parent_manifest ?? null;
  const judge = (key: string, onParent: Restorability | undefined): Restorability => {
    const manifest = manifests.get(key);
    if (!manifest) return { whyNot: `${key} is missing or damaged` };
    const own = ownRestorability(manifest, objects, states);
    const parentKey = manifest.parent_manifest;
    if (parentKey === null || 'whyNot' in own) return own;
    const parent = manifests.get(parentKey);
    if (!parent || !onParent) return { whyNot: `its parent ${parentKey} is missing or damaged` };
    const problem = linkProblem({ key, manifest }, { key: parentKey, manifest: parent });
    if (problem) return { whyNot: `its chain is broken: ${problem}` };
    if ('whyNot' in onParent) return onParent;
    return { thaw: addProgress(onParent.thaw, own.thaw), doubt: onParent.doubt ?? own.doubt };
  };
  return judgeChains<Restorability>(manifests.keys(), parentOf, judge, {
    whyNot: 'its chain is broken: it is its own ancestor',
  });
}

function ownRestorability(
  manifest: Manifest,
  objects: ReadonlyMap<string, ListedObject>,
  states: ReadonlyMap<string, ThawState>,
): Restorability {
  const chunks: ThawObject[] = [];
  let doubt: string | undefined;
  for (const chunk of manifest.chunks) {
    const object = objects.get(chunk.key);
    const described = object && { ...object, sha256: undefined };
    const problem = chunkProblem(chunk, described);
    const told = problem && `chunk ${chunk.key} ${problem}`;
    if (told && !isWorthReading(chunk, described)) return { whyNot: told };
    doubt ??= told;
    const state = states.get(chunk.key) ?? { kind: 'readable' };
    chunks.push({ key: chunk.key, sizeBytes: chunk.size, state });
  }
  return { thaw: thawProgress(chunks), doubt };
}
