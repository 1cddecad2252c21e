/**
 * Pruning: what is in the bucket beyond KEEP_GENERATIONS, and what dead runs left. Looking is apart from deleting
 * (apply-prune.ts), so that a plan cannot write.
 */
import pMap from 'p-map';
import { describeError, ToolError } from '../../core/errors.ts';
import { manifestKeyOf, parseKey, SubvolumeKeys } from '../../core/format/names.ts';
import { groupBy } from '../../core/group-by.ts';
import {
  type BegunBackups,
  type PruneInput,
  type PrunePlan,
  planPrune,
} from '../../core/plan/prune/prune-plan.ts';
import { replayJournal } from '../../core/plan/resume.ts';
import { readJournal } from '../../edge/files/journal.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { readVersioning, type Versioning } from '../../edge/s3/bucket/bucket-properties.ts';
import { ArchivedDocument } from '../../edge/s3/documents.ts';
import { type ListedUpload, listUploads } from '../../edge/s3/multipart-uploads.ts';
import { listObjects } from '../../edge/s3/objects.ts';
import { isDenied, isNamed } from '../../edge/s3/s3-errors.ts';
import { isResumed } from '../backup/abandoned-runs.ts';
import type { StageContext } from '../context.ts';
import type { PruneOutcome } from './apply-prune.ts';
import { findPointer, REQUESTS_AT_ONCE, readForOverview, rootOf } from './backups.ts';
import { withEtagsOfHead } from './look-at-chunks.ts';
import { listedWith } from './meanwhile.ts';

/** The plans for all subvolumes, by name. */
export interface PruneSurvey<Plan extends PrunePlan = PrunePlan> {
  readonly versioning: Versioning;
  readonly plans: readonly Plan[];
  /** Why unfinished uploads could not be looked at; undefined when they were. */
  readonly uploadsProblem: string | undefined;
}

/**
 * Looks at one subvolume, or at all below the prefix, and plans. Nothing is written, here or there.
 * @throws ToolError when the bucket cannot be read
 */
export function planPrunes(context: StageContext, subvolume?: string): Promise<PruneSurvey> {
  return survey(context, subvolume, planPrune);
}

/** Looks at one subvolume, or at all below the prefix, and makes plans of what is there. Nothing is written. */
export async function survey<Plan extends PrunePlan>(
  context: StageContext,
  subvolume: string | undefined,
  plan: (input: PruneInput) => Plan,
): Promise<PruneSurvey<Plan>> {
  const { bucket } = context;
  const root = rootOf(bucket, subvolume);
  const subvolumeOf = ({ key }: { readonly key: string }) => parseKey(bucket.prefix, key)?.subvolume ?? '';
  const objects = groupBy(await listObjects(bucket, root), subvolumeOf);
  const { uploads: begun, problem: uploadsProblem } = await lookForUploads(context, root);
  const uploads = groupBy(begun, subvolumeOf);
  const names = [...new Set([...objects.keys(), ...uploads.keys()])].filter((name) => name !== '').sort();
  const plans: Plan[] = [];
  for (const name of names) {
    const known = { objects: objects.get(name) ?? [], uploads: uploads.get(name) ?? [] };
    plans.push(plan(await lookAt(context, name, known)));
  }
  return { versioning: await readVersioning(bucket), plans, uploadsProblem };
}

/** They are a part of what is to be pruned; the rest can go without them. */
async function lookForUploads(
  { bucket, log }: StageContext,
  root: string,
): Promise<{ readonly uploads: readonly ListedUpload[]; readonly problem: string | undefined }> {
  try {
    return { uploads: await listUploads(bucket, root), problem: undefined };
  } catch (error) {
    if (isDenied(error)) return { uploads: [], problem: describeError(error) };
    if (!isNamed(error, 'NotImplemented')) throw error;
    log.warn('the server cannot list unfinished uploads: they are ignored');
    return { uploads: [], problem: undefined };
  }
}

async function lookAt(
  context: StageContext,
  subvolume: string,
  known: Pick<PruneInput, 'objects' | 'uploads'>,
): Promise<PruneInput> {
  const { bucket, settings, now, signal, log } = context;
  const run = new RunDirectory(settings.RUN_DIR, subvolume);
  const pointer = await pointerOf(context, subvolume);
  const named = pointer && 'manifestKey' in pointer ? [pointer.manifestKey] : [];
  const listed = await listedWith(bucket, known.objects, named);
  const keys = listed
    .map(({ key }) => key)
    .filter((key) => parseKey(bucket.prefix, key)?.type === 'manifest');
  const manifests = await pMap(keys, async (key) => [key, await readForOverview(bucket, key)] as const, {
    concurrency: REQUESTS_AT_ONCE,
    signal,
  });
  const objects = await withEtagsOfHead(
    context,
    listed,
    manifests.map(([, manifest]) => manifest),
    // Whoever prunes need not read chunks (config/iam/prune.json). The doubt stays, and a backup that is in doubt is kept.
    (key) =>
      log.warn(
        `these credentials may not look at ${key}, whose ETag is not the one in its manifest: it, and what is like it, counts as replaced; make verify DEEP=1 on this host, with credentials that may read chunks, settles it`,
      ),
  );
  return {
    ...known,
    objects,
    prefix: bucket.prefix,
    subvolume,
    keep: settings.KEEP_GENERATIONS,
    now: now(),
    manifests: new Map(manifests),
    pointer,
    begun: isResumed(settings, subvolume)
      ? await begunIn(run, subvolume, bucket.prefix)
      : { manifestKeys: [], parentKey: undefined },
    pruned: await prunedBefore(context, run),
  };
}

async function pointerOf({ bucket }: StageContext, subvolume: string): Promise<PruneInput['pointer']> {
  const found = await findPointer(bucket, subvolume).catch((error: unknown) => {
    if (error instanceof ArchivedDocument) return { unusable: error.problem, isArchived: true };
    throw error;
  });
  if (!found || 'unusable' in found) return found;
  if ('damage' in found) return { unusable: found.damage.problem };
  return { manifestKey: found.pointer.manifest_key };
}

/** What snapshot.json and the journal name; a file that cannot be understood may name anything. */
async function begunIn(run: RunDirectory, subvolume: string, prefix: string): Promise<BegunBackups> {
  try {
    const snapshot = await run.readSnapshot();
    const journal = replayJournal(await readJournal(run.journalPath));
    const stored = [...[...journal.chunks.values()].map(({ key }) => key), ...journal.own.keys()];
    const manifestKeys = new Set(stored.flatMap((key) => manifestKeyOf(prefix, key) ?? []));
    if (snapshot) {
      manifestKeys.add(new SubvolumeKeys(prefix, subvolume).manifest(snapshot.kind, snapshot.created_at));
    }
    return { manifestKeys: [...manifestKeys], parentKey: snapshot?.parent?.manifest_key };
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    return { manifestKeys: [], parentKey: undefined, unknown: describeError(error) };
  }
}

async function prunedBefore({ bucket, log }: StageContext, run: RunDirectory): Promise<readonly string[]> {
  try {
    const file = await run.readPruning();
    const isHere =
      file?.server === bucket.server && file.bucket === bucket.name && file.prefix === bucket.prefix;
    return isHere ? file.manifest_keys : [];
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    log.warn(`${error.message}: what an interrupted prune left is found by its age alone`);
    return [];
  }
}

/** What the user has to know and do, a line for each; undefined when there is nothing. Damage exits 4. */
export function problemsOf(
  { plans, uploadsProblem }: PruneSurvey,
  outcomes: ReadonlyMap<string, PruneOutcome> | undefined,
): ToolError | undefined {
  const damage = plans.flatMap(({ subvolume, blocked, broken }) => [
    ...broken.map(({ key, problem }) => `${key} is kept, with everything that it builds on: ${problem}`),
    ...(blocked ? [`no generation and no orphan of ${subvolume} is removed: ${blocked.problem}`] : []),
  ]);
  const failures = [...(outcomes?.values() ?? [])].flatMap(({ refused }) =>
    refused.map(({ key, problem }) => `cannot delete ${key}: ${problem}`),
  );
  const lines = [...damage, ...failures, ...(uploadsProblem === undefined ? [] : [uploadsProblem])];
  if (lines.length === 0) return undefined;
  const isDamage = plans.some(
    ({ broken, blocked }) => broken.some(({ isArchived }) => !isArchived) || blocked?.where === 'bucket',
  );
  // What is archived can wait; that must not hide what cannot.
  const isCold =
    failures.length === 0 &&
    uploadsProblem === undefined &&
    !plans.some(({ blocked }) => blocked?.where === 'host');
  return new ToolError(lines.join('\n'), {
    kind: isDamage ? 'damage' : isCold ? 'thaw' : 'failed',
    isList: true,
    hint: isDamage
      ? 'see what is affected with: make verify'
      : isCold
        ? 'make thaw SUBVOLUME=name requests manifests; run again when they can be read'
        : 'fix that and run again: it finds what is left',
  });
}
