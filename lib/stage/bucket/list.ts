/** Every backup in the bucket, from the bucket alone, and whether it can be restored now. */
import pMap from 'p-map';
import type { Manifest } from '../../core/format/manifest.ts';
import { parseKey } from '../../core/format/names.ts';
import { judgeChains } from '../../core/plan/chain.ts';
import { chunkState, judgeRestorability, type ReadManifest } from '../../core/plan/restorability.ts';
import type { ThawState } from '../../core/thaw/archive-classes.ts';
import { addProgress, type ThawObject, type ThawProgress, thawProgress } from '../../core/thaw/thaw-plan.ts';
import { ArchivedDocument } from '../../edge/s3/documents.ts';
import { type ListedObject, listObjects } from '../../edge/s3/objects.ts';
import { thawStates } from '../../edge/s3/thaw-requests.ts';
import type { StageContext } from '../context.ts';
import { everythingAmong, findPointer, REQUESTS_AT_ONCE, readForOverview, rootOf } from './backups.ts';
import { withEtagsOfHead } from './look-at-chunks.ts';
import { listedWith } from './meanwhile.ts';

/** Whether the chain of a backup can be read now, or why it cannot be restored at all. */
export type Restorability =
  | {
      readonly thaw: ThawProgress;
      /** Why only its bytes can tell whether it is what was uploaded; undefined when nothing speaks against it. */
      readonly doubt: string | undefined;
    }
  | {
      readonly whyNot: string;
      /** True when nothing is known to be wrong: a manifest of the chain is archived, and has to be thawed to tell. */
      readonly isArchived?: boolean;
    };

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
  return backupsAmong(context, await listObjects(context.bucket, rootOf(context.bucket, subvolume)));
}

/** The backups under the bucket's prefix that a listing holds, and what was published since. @throws ToolError when one cannot be asked about */
export async function backupsAmong(
  { bucket, settings }: Pick<StageContext, 'bucket' | 'settings'>,
  before: readonly ListedObject[],
): Promise<readonly ListedBackup[]> {
  const keysAmong = (objects: readonly ListedObject[]) =>
    everythingAmong(
      bucket.prefix,
      objects.map(({ key }) => key),
    ).keys;
  const names = [...new Set(keysAmong(before).map((key) => key.subvolume))].sort();
  const pointers = await pMap(names, (name) => findPointer(bucket, name).catch(nothingIfArchived), {
    concurrency: REQUESTS_AT_ONCE,
  });
  const current = new Set(
    pointers.flatMap((read) => (read && 'pointer' in read ? [read.pointer.manifest_key] : [])),
  );
  const listed = await listedWith(bucket, before, [...current]);
  const keys = keysAmong(listed);
  const read = await pMap(keys, async ({ key }) => [key, await readForOverview(bucket, key)] as const, {
    concurrency: REQUESTS_AT_ONCE,
  });
  const manifests = new Map(read);
  const chunkKeys = listed.flatMap(({ key }) =>
    parseKey(bucket.prefix, key)?.type === 'chunk' ? [key] : [],
  );
  const states = await thawStates(bucket, listed, new Set(chunkKeys), REQUESTS_AT_ONCE);
  const settled = await withEtagsOfHead(
    { bucket, settings, signal: bucket.signal },
    listed,
    manifests.values(),
  );
  const objects = new Map(settled.map((object) => [object.key, object]));
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
    if (!manifest || 'unusable' in manifest) {
      const problem = manifest?.unusable ?? 'was not read';
      const nothing = { parent_manifest: null, bytes: 0, chunks: 0, storage_class: null };
      const isArchived = manifest?.isArchived === true;
      return { ...known, ...nothing, restorability: { whyNot: problem, isArchived }, problem };
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

/** What cannot be read without a thaw names no backup; the backups themselves are listed all the same. */
function nothingIfArchived(error: unknown): undefined {
  if (!(error instanceof ArchivedDocument)) throw error;
}

function classesOf({ chunks, s3 }: Manifest, objects: ReadonlyMap<string, ListedObject>): string | null {
  const classes = new Set(chunks.flatMap(({ key }) => objects.get(key)?.storageClass ?? []));
  return classes.size > 0 ? [...classes].sort().join(',') : (s3.storage_class ?? null);
}

/** Of every backup: the one judge's verdict, and what of its whole chain has to be thawed. */
function restorabilities(
  manifests: ReadonlyMap<string, ReadManifest>,
  objects: ReadonlyMap<string, ListedObject>,
  states: ReadonlyMap<string, ThawState>,
): ReadonlyMap<string, Restorability> {
  const verdicts = judgeRestorability(manifests, (chunk) => {
    const object = objects.get(chunk.key);
    return chunkState(chunk, object && { ...object, sha256: undefined });
  });
  const thawOf = ({ chunks }: Manifest): ThawProgress =>
    thawProgress(
      chunks.map(
        ({ key, size }): ThawObject => ({
          key,
          sizeBytes: size,
          state: states.get(key) ?? { kind: 'readable' },
        }),
      ),
    );
  const parentOf = (key: string) => {
    const manifest = manifests.get(key);
    return manifest && !('unusable' in manifest) ? manifest.parent_manifest : null;
  };
  const describe = (key: string, onParent: Restorability | undefined): Restorability => {
    const manifest = manifests.get(key);
    const verdict = verdicts.get(key);
    if (!manifest || 'unusable' in manifest || !verdict) return { whyNot: 'was not read' };
    if (verdict.whyNot !== undefined) return { whyNot: verdict.cause, isArchived: verdict.isArchived };
    const own = thawOf(manifest);
    const thaw = onParent && 'thaw' in onParent ? addProgress(onParent.thaw, own) : own;
    return { thaw, doubt: verdict.doubt };
  };
  return judgeChains<Restorability>(manifests.keys(), parentOf, describe, {
    whyNot: 'it builds on itself',
  });
}
