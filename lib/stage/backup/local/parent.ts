/** The backup that the next one builds on, its snapshot here or a copy of that, and whether it is still what was backed up. */
import { describeError, ToolError } from '../../../core/errors.ts';
import { streamUuid } from '../../../core/format/manifest.ts';
import type { ContinuedFile } from '../../../core/format/run-files.ts';
import type { Candidate, LastBackup, PublishedBackup } from '../../../core/plan/backup/backup-plan.ts';
import { copyProblem } from '../../../core/plan/backup/received-copy.ts';
import type { FoundSubvolume } from '../../../edge/btrfs/btrfs.ts';
import { isChangedSince } from '../../../edge/btrfs/changed-since.ts';
import { readManifest } from '../../bucket/backups.ts';
import { demandSignatures } from '../../bucket/signatures.ts';
import type { StageContext } from '../../context.ts';
import { lookAtChain, whyUnusable } from '../last-backup.ts';
import type { SnapshotSource } from '../snapshot-source.ts';
import { findSnapshot } from './find-snapshot.ts';
import { relationTo } from './relation.ts';
import { stateOf } from './snapshot-state.ts';

/** A snapshot to build on. */
export type FoundCandidate = Candidate & { readonly snapshot: FoundSubvolume };

/** What a plan is made from. */
export interface ParentToPlan {
  readonly base: LastBackup;
  readonly candidate: FoundCandidate | undefined;
}

/** The snapshot of the last backup. */
export interface OwnSnapshot {
  /** Undefined when it is gone. */
  readonly snapshot?: FoundSubvolume | undefined;
  /** Why it cannot be reached, where a copy that is here may stand for it. */
  readonly outOfReach?: ToolError;
}

/**
 * The snapshot of a backup, wherever it is.
 * @throws ToolError when it is not mounted, and nothing that is here was received
 */
export async function findOwnSnapshot(source: SnapshotSource, last: LastBackup): Promise<OwnSnapshot> {
  if (!last || 'unreadable' in last) return {};
  const { snapshot, filesystem_uuid: filesystemUuid } = last.manifest;
  if (snapshot.uuid === null) return {};
  const sought = {
    uuid: snapshot.uuid,
    filesystemUuid,
    otherwise: 'or begin a new chain with KIND=full',
  };
  try {
    return { snapshot: await findSnapshot(source, sought) };
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    // As after a restore to a new disk, or a move by btrfs send and receive, while the old disk is still attached.
    const hasCopy = copiesOf(source, streamUuid(snapshot)).length > 0 || originOf(source) !== undefined;
    if (hasCopy) return { outOfReach: error };
    throw error;
  }
}

/**
 * The error for a snapshot that is out of reach, where no copy can stand for it.
 * @param why as a clause
 */
export function withoutCopy({ message, hint }: ToolError, why: string): ToolError {
  return new ToolError(`${message}, and no copy of it that is here can take its place: ${why}`, {
    ...(hint && { hint }),
  });
}

/**
 * Looks for the backup to build on: the last one, or the one that the subvolume was restored from.
 * @param own the snapshot of the last one, if it is here.
 */
export async function lookForParent(
  context: StageContext,
  source: SnapshotSource,
  last: LastBackup,
  {
    own,
    continued,
  }: { readonly own: FoundSubvolume | undefined; readonly continued: ContinuedFile | undefined },
): Promise<ParentToPlan> {
  const candidate = await candidateOf(context, source, last, own, continued);
  if (candidate?.relation && candidate.relation.is !== 'none') return { base: last, candidate };
  const base = await restoredFrom(context, source, last, continued);
  if (base === undefined) return { base: last, candidate };
  return { base, candidate: await candidateOf(context, source, base, undefined, continued) };
}

/** Of a backup's snapshot and the copies of it, the one that has most to do with what is sent. */
async function candidateOf(
  context: StageContext,
  source: SnapshotSource,
  backup: LastBackup,
  own: FoundSubvolume | undefined,
  continued: ContinuedFile | undefined,
): Promise<FoundCandidate | undefined> {
  if (!backup || 'unreadable' in backup) return undefined;
  const known = streamUuid(backup.manifest.snapshot);
  const copies = copiesOf(source, known).filter(({ uuid }) => uuid !== own?.uuid);
  const related: FoundCandidate[] = [];
  for (const snapshot of [...(own ? [own] : []), ...copies]) {
    const state = snapshot.readOnly ? await stateOf(context, snapshot.path) : undefined;
    related.push({ snapshot, state, relation: state && (await relationTo(source, snapshot, state)) });
  }
  const best =
    related.find(({ relation }) => relation?.is === 'proven') ??
    related.find(({ relation }) => relation?.is === 'unproven') ??
    related[0];
  if (
    !best?.state ||
    best.snapshot.uuid === own?.uuid ||
    best.snapshot.uuid === backup.manifest.snapshot.uuid
  )
    return best;
  const recordedTransid = continued?.snapshot_uuid === best.snapshot.uuid ? continued.transid : undefined;
  const found = copyProblem(backup.manifest, best.snapshot, best.state, { recordedTransid });
  const problem = found === 'look' ? await changeOf(context, best.snapshot) : found?.problem;
  return { ...best, copy: { problem } };
}

/** What is here of a stream, by the UUID that this carried. */
function copiesOf({ here }: SnapshotSource, known: string | null): readonly FoundSubvolume[] {
  return here.filter(({ receivedUuid }) => known !== null && receivedUuid === known);
}

/** The received snapshot of which was made what is sent, or a snapshot of that. */
function originOf({ sent, filesystem, here }: SnapshotSource): FoundSubvolume | undefined {
  const origins = [sent.parentUuid, filesystem.subvolumes.get(sent.parentUuid ?? '')?.parentUuid];
  return origins
    .map((origin) => here.find(({ uuid, receivedUuid }) => receivedUuid !== undefined && uuid === origin))
    .find((found) => found !== undefined);
}

/** What a copy has become since it was received, where no restore wrote down its state. */
async function changeOf(
  { log, signal }: StageContext,
  { path, receivedAt }: FoundSubvolume,
): Promise<string | undefined> {
  if (!receivedAt) return 'was received here at a time that is unknown';
  log.info(`looking at all files of ${path}: was it changed since it was received?`);
  return (await isChangedSince(path, receivedAt, signal)) ? 'was changed after it was received' : undefined;
}

/** The backup that what is sent was restored from, by the copy that it was made of; undefined when it was not. */
async function restoredFrom(
  context: StageContext,
  source: SnapshotSource,
  last: LastBackup,
  continued: ContinuedFile | undefined,
): Promise<LastBackup> {
  const made = originOf(source);
  if (!made) return undefined;
  const recorded = continued?.snapshot_uuid === made.uuid ? continued.manifest_key : undefined;
  return recorded === undefined ? memberOf(last, made.receivedUuid) : readBackup(context, recorded);
}

/**
 * The backup at a key, under the demands that a restore makes of it: what it would refuse is found before anything is uploaded. Where
 * nothing can build on it, the plan says why.
 */
async function readBackup(
  context: StageContext,
  manifestKey: string,
): Promise<Exclude<LastBackup, undefined>> {
  const what = 'the backup that the subvolume was restored from';
  try {
    const manifest = await readManifest(context.bucket, manifestKey, await demandSignatures(context));
    const chain = await lookAtChain(context, manifestKey, manifest, what);
    return 'problem' in chain
      ? { unreadable: `${what} cannot be restored again` }
      : { manifestKey, manifest, chain };
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    context.log.warn(`${what} cannot be built on: ${describeError(error)}`);
    return { unreadable: `${what} is ${whyUnusable(error)}` };
  }
}

/** The newest backup of the last one's chain whose snapshot has a UUID, as the end of a chain of its own. */
function memberOf(last: LastBackup, uuid: string | undefined): PublishedBackup | undefined {
  if (!last || 'unreadable' in last || 'problem' in last.chain || uuid === undefined) return undefined;
  const { chain } = last;
  const at = chain.members.findLastIndex(({ manifest }) => streamUuid(manifest.snapshot) === uuid);
  const found = chain.members[at];
  if (!found) return undefined;
  const members = chain.members.slice(0, at + 1);
  const streamUuids = members.flatMap(({ manifest }) => streamUuid(manifest.snapshot) ?? []);
  return { manifestKey: found.key, manifest: found.manifest, chain: { ...chain, members, streamUuids } };
}
