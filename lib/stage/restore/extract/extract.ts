/**
 * Single files and folders of a backup, onto any filesystem: the chain is restored into a scratch filesystem, rsync copies the paths out
 * into a directory of ours in TO, and renaming puts them where they belong.
 */
import { statfs } from 'node:fs/promises';
import { describeError, ToolError } from '../../../core/errors.ts';
import { byteString, isBelow, outermost, readWantedPaths } from '../../../core/extract/wanted-paths.ts';
import { formatSize } from '../../../core/units.ts';
import { bytesOnDisk, copyPaths } from '../../../edge/copy/copy-paths.ts';
import { lookUp, topPaths } from '../../../edge/copy/look-up.ts';
import { place } from '../../../edge/copy/place.ts';
import { forgetWriteErrors, syncFilesystem } from '../../../edge/files/sync-filesystem.ts';
import type { StageContext } from '../../context.ts';
import type { MissingSubvolume } from '../nested-backups.ts';
import { type Restored, restoreInScratch } from '../scratch/restore-in-scratch.ts';
import { freeBytes, planScratch, type ScratchPlan, type ScratchRequest } from '../scratch/scratch-plan.ts';
import { sourceHere } from '../scratch/source-here.ts';
import { type Absent, absentPaths, refuseNested } from './absent-paths.ts';
import { checkDestination, type Destination, type OpenDestination, openDestination } from './destination.ts';

/** What to extract, and where to. */
export interface ExtractRequest extends ScratchRequest {
  /** Words as in a shell. */
  readonly paths: string;
  readonly to: string;
}

/** What an extract will do. */
export interface ExtractPlan extends ScratchPlan {
  /** Byte strings (latin1). */
  readonly paths: readonly string[];
  readonly to: Destination;
  /** Bytes that are free in TO. */
  readonly toFree: number;
  /** The snapshot itself, where it is still on this host: nothing need be fetched to copy out of it. */
  readonly snapshotHere: string | undefined;
}

/** What was extracted. */
export interface ExtractOutcome {
  /** Byte strings (latin1) of those that are in TO now. */
  readonly copied: readonly string[];
  /** That they take on disk. */
  readonly bytes: number;
  /** What is missing, or is there in part. */
  readonly failure: ToolError | undefined;
  /** Nested subvolumes below the paths, which are not in this backup. */
  readonly missing: readonly MissingSubvolume[];
}

/**
 * Finds out what an extract will do, and refuses what is bound to fail. Changes nothing.
 * @throws ToolError
 */
export async function planExtract(context: StageContext, request: ExtractRequest): Promise<ExtractPlan> {
  const paths = readWantedPaths(request.paths);
  const to = await checkDestination(request.to, paths);
  const plan = await planScratch(context, request);
  const { manifest } = plan.newest;
  await refuseNested(context, manifest, paths);
  const source = await sourceHere(context, manifest);
  const snapshotHere = source?.isUnchanged ? source.path : undefined;
  if (snapshotHere !== undefined) {
    const absent = await absentOf(snapshotHere, paths);
    if (absent.length > 0) throw absentPaths(absent);
  }
  return { ...plan, paths, to, toFree: await freeBytes(to.path), snapshotHere };
}

/**
 * Does what a plan says. Paths that the backup does not have do not keep the others from being copied: the bytes are paid for by then.
 * @param mayWait false: chunks that are not thawed are requested, and it ends
 * @throws ToolError; nothing of it is left then
 */
export async function extract(
  context: StageContext,
  plan: ExtractPlan,
  mayWait: boolean,
): Promise<ExtractOutcome> {
  const to = await openDestination(context, plan.to);
  try {
    return await restoreInScratch(context, plan, mayWait, (restored) => copyOut(context, plan, restored, to));
  } finally {
    await to.close().catch((error: unknown) => {
      context.log.warn(`cannot clean up in ${to.path}: ${describeError(error)}`);
    });
  }
}

async function copyOut(
  context: StageContext,
  { paths: wanted }: ExtractPlan,
  { tree, outcome: { missing } }: Restored,
  to: OpenDestination,
): Promise<ExtractOutcome> {
  const { signal } = context;
  const absent = await absentOf(tree, wanted);
  const there = outermost(wanted.filter((path) => !absent.some((each) => each.path === path)));
  const paths = there[0] === '/' ? await topPaths(tree) : there;
  if (there.length === 0) throw absentPaths(absent);
  const bytes = await bytesOnDisk(tree, paths, signal);
  await checkRoom(to.path, bytes);
  const progress = context.startProgress(`copy to ${to.path}`);
  progress.expect(bytes);
  const request = {
    from: tree,
    to: to.staging,
    paths,
    keeps: to.keeps,
    isBtrfs: to.type === 'btrfs',
    signal,
  };
  await forgetWriteErrors(to.path);
  const incomplete = await copyPaths(request, (count) => progress.add(count)).finally(() => progress.stop());
  // Before it is moved: what the disk did not take must not stand there as if it were whole.
  await syncFilesystem(to.path);
  for (const path of paths) await place(to.staging, to.path, to.device, path);
  await syncFilesystem(to.path);
  return {
    copied: paths,
    bytes,
    failure: failureOf(absent, incomplete),
    missing: missing.filter(({ path }) => there.some((each) => isBelow(`/${byteString(path)}`, each))),
  };
}

async function absentOf(tree: string, paths: readonly string[]): Promise<readonly Absent[]> {
  const found = await Promise.all(paths.map((path) => lookUp(tree, path)));
  return found.filter((each) => !each.isThere);
}

function failureOf(absent: readonly Absent[], incomplete: string | undefined): ToolError | undefined {
  if (incomplete === undefined) return absent.length > 0 ? absentPaths(absent) : undefined;
  const also = absent.length > 0 ? `; and ${describeError(absentPaths(absent))}` : '';
  return new ToolError(`not all could be copied, or not with all that belongs to it${also}`, {
    hint: 'what could be is in TO; another filesystem may take the rest',
    childOutput: incomplete,
  });
}

async function checkRoom(path: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  if (bavail * bsize >= bytes) return;
  throw new ToolError(
    `the paths take ${formatSize(bytes)}, but TO ${path} has ${formatSize(bavail * bsize)} free`,
    { hint: 'make room there, or name a TO with more; the chain has to be fetched again' },
  );
}
