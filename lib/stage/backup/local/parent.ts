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

/**
 * The snapshot of a backup, wherever it is; undefined when it is gone.
 * @throws ToolError when it is not mounted
 */
export async function findOwnSnapshot(
  source: SnapshotSource,
  last: LastBackup,
): Promise<FoundSubvolume | undefined> {
  if (!last || 'unreadable' in last || last.manifest.snapshot.uuid === null) return undefined;
  return findSnapshot(source, {
    uuid: last.manifest.snapshot.uuid,
    filesystemUuid: last.manifest.filesystem_uuid,
    otherwise: 'or begin a new chain with KIND=full',
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
  const copies = source.here.filter(
    ({ uuid, receivedUuid }) => uuid !== own?.uuid && known !== null && receivedUuid === known,
  );
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
  { sent, filesystem, here }: SnapshotSource,
  last: LastBackup,
  continued: ContinuedFile | undefined,
): Promise<LastBackup> {
  const origins = [sent.parentUuid, filesystem.subvolumes.get(sent.parentUuid ?? '')?.parentUuid];
  const made = origins
    .map((origin) => here.find(({ uuid, receivedUuid }) => receivedUuid !== undefined && uuid === origin))
    .find((found) => found !== undefined);
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
