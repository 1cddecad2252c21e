/**
 * Deletes what a plan names, in an order that may be interrupted anywhere: a manifest goes before its parent and before its
 * chunks, so every manifest that is left is whole. What an interrupted prune leaves has no manifest, and the next prune deletes it.
 */
import pMap from 'p-map';
import { describeError } from '../../core/errors.ts';
import type { ListedObject } from '../../core/format/inventory.ts';
import { groupBy } from '../../core/group-by.ts';
import { bytesOf, type PrunePlan, type Removal } from '../../core/plan/prune/prune-plan.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { deleteObjects, type Refusal, retainedUntil } from '../../edge/s3/delete-objects.ts';
import { abortUpload } from '../../edge/s3/multipart-uploads.ts';
import type { StageContext } from '../context.ts';
import { REQUESTS_AT_ONCE } from './backups.ts';

/** What was done for one subvolume. */
export interface PruneOutcome {
  readonly manifests: number;
  /** Chunks and file indexes. */
  readonly objects: number;
  /** Of manifests and objects. */
  readonly bytes: number;
  readonly uploads: number;
  /** What is still there although the plan named it. */
  readonly refused: readonly Refusal[];
}

/**
 * Applies a plan; what is refused is reported, and the rest is done.
 * @throws ToolError when a whole request fails, or pruning.json cannot be written
 */
export async function applyPrune(context: StageContext, plan: PrunePlan): Promise<PruneOutcome> {
  const { bucket, settings } = context;
  const run = new RunDirectory(settings.RUN_DIR, plan.subvolume);
  const orphans = plan.orphans.filter(({ action }) => action === 'remove');
  const goes = [
    ...plan.removals.map(({ manifest }) => manifest.key),
    ...orphans.map((each) => each.manifestKey),
  ];
  if (goes.length === 0) {
    await run.forgetPruning();
    return { manifests: 0, objects: 0, bytes: 0, uploads: 0, refused: [] };
  }
  const { server, name, prefix } = bucket;
  await run.writePruning({ server, bucket: name, prefix, manifest_keys: [...new Set(goes)] });

  const refused: Refusal[] = [];
  const remove = async (objects: readonly ListedObject[]): Promise<readonly ListedObject[]> => {
    const unique = [...new Map(objects.map((object) => [object.key, object])).values()];
    const refusals = await deleteObjects(
      bucket,
      unique.map(({ key }) => key),
    );
    refused.push(...(await withRetention(context, refusals)));
    const left = new Set(refusals.map(({ key }) => key));
    return unique.filter(({ key }) => !left.has(key));
  };
  const { manifests, held } = await removeManifests(plan.removals, remove, refused);
  const named = new Set(held.flatMap(({ objects }) => objects.map(({ key }) => key)));
  const own = plan.removals.flatMap((removal) => removal.objects).filter(({ key }) => !named.has(key));
  const objects = [...(await remove(own)), ...(await remove(orphans.flatMap((each) => each.objects)))];
  let uploads = 0;
  for (const upload of orphans.flatMap((each) => each.uploads)) {
    try {
      await abortUpload(bucket, upload);
      uploads++;
    } catch (error) {
      bucket.signal.throwIfAborted();
      refused.push({ key: upload.key, problem: describeError(error) });
    }
  }
  if (refused.length === 0) await run.forgetPruning();
  const bytes = bytesOf(manifests) + bytesOf(objects);
  return { manifests: manifests.length, objects: objects.length, bytes, uploads, refused };
}

/** Depth by depth, the deepest first; what a manifest that stays builds on stays as well. */
async function removeManifests(
  removals: readonly Removal[],
  remove: (objects: readonly ListedObject[]) => Promise<readonly ListedObject[]>,
  refused: Refusal[],
): Promise<{
  readonly manifests: readonly ListedObject[];
  /** Whose manifests are still there, so that their objects must stay. */
  readonly held: readonly Removal[];
}> {
  const gone = new Set<string>();
  const heldBy = new Map<string, string>();
  const manifests: ListedObject[] = [];
  const byDepth = groupBy(removals, ({ depth }) => depth);
  for (const depth of [...byDepth.keys()].sort((a, b) => b - a)) {
    const wave = byDepth.get(depth) ?? [];
    const removed = await remove(
      wave.filter(({ manifest }) => !heldBy.has(manifest.key)).map(({ manifest }) => manifest),
    );
    for (const manifest of removed) gone.add(manifest.key);
    manifests.push(...removed);
    for (const { manifest, parentKey } of wave) {
      const holder = heldBy.get(manifest.key);
      if (holder) refused.push({ key: manifest.key, problem: `${holder} is still there and builds on it` });
      if (parentKey !== null && !gone.has(manifest.key)) heldBy.set(parentKey, manifest.key);
    }
  }
  return { manifests, held: removals.filter(({ manifest }) => !gone.has(manifest.key)) };
}

/** A refusal may be Object Lock's: then it says until when. */
export function withRetention(
  { bucket, signal }: StageContext,
  refusals: readonly Refusal[],
): Promise<readonly Refusal[]> {
  return pMap(
    refusals,
    async ({ key, problem }) => {
      const until = problem.startsWith('AccessDenied') ? await retainedUntil(bucket, key) : undefined;
      return { key, problem: until ? `${problem} (retained until ${until.toISOString()})` : problem };
    },
    { concurrency: REQUESTS_AT_ONCE, signal },
  );
}
