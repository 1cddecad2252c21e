/** The backup that the next one builds on, its snapshot here, and whether that is still what was backed up. */
import { describeError, ToolError } from '../../core/errors.ts';
import { streamUuid } from '../../core/format/manifest.ts';
import type { ContinuedFile } from '../../core/format/run-files.ts';
import {
  type BackupSource,
  type LastBackup,
  type PublishedBackup,
  snapshotOf,
} from '../../core/plan/backup-plan.ts';
import { copyProblem } from '../../core/plan/received-copy.ts';
import type { StreamHead } from '../../core/stream/stream-head.ts';
import type { FoundSubvolume } from '../../edge/btrfs/btrfs.ts';
import { isChangedSince } from '../../edge/btrfs/changed-since.ts';
import { readStreamHead } from '../../edge/btrfs/read-stream-head.ts';
import { readManifest } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';
import { lookAtChain } from './last-backup.ts';
import type { SnapshotSource } from './snapshot-source.ts';

/** What a plan is made from. */
export interface ParentToPlan {
  readonly base: LastBackup;
  /** Of its snapshot by now. */
  readonly state: StreamHead | undefined;
  readonly copyProblem: string | undefined;
}

/** Looks for the backup to build on: the last one, or the one that the subvolume was restored from. */
export async function lookForParent(
  context: StageContext,
  last: LastBackup,
  { subvolume, here }: SnapshotSource,
  continued: ContinuedFile | undefined,
): Promise<ParentToPlan> {
  const base = await findBase(context, last, subvolume, here, continued);
  const found = snapshotOf(base, here, subvolume);
  const state = found?.snapshot.readOnly ? await stateOf(context, found.snapshot.path) : undefined;
  if (!found?.isCopy || !state || !base || 'unreadable' in base)
    return { base, state, copyProblem: undefined };
  const recordedTransid = continued?.snapshot_uuid === found.snapshot.uuid ? continued.transid : undefined;
  const problem = copyProblem(base.manifest, found.snapshot, state, { recordedTransid });
  if (problem !== 'look') return { base, state, copyProblem: problem?.problem };
  return { base, state, copyProblem: await changeOf(context, found.snapshot) };
}

/** The state of a snapshot; undefined, after a warning, where btrfs send cannot tell it: then nothing can build on it. */
export async function stateOf({ log }: StageContext, path: string): Promise<StreamHead | undefined> {
  return readStreamHead(path).catch((error: unknown) => {
    if (!(error instanceof ToolError)) throw error;
    log.warn(`the state of snapshot ${path} cannot be read: ${describeError(error)}`);
    return undefined;
  });
}

/** What a copy that nobody wrote down has become since it was received. */
async function changeOf(
  { log, signal }: StageContext,
  { path, receivedAt }: FoundSubvolume,
): Promise<string | undefined> {
  if (!receivedAt) return 'was received here, and nothing tells when';
  log.info(`looking at all files of ${path}: was it changed since it was received?`);
  return (await isChangedSince(path, receivedAt, signal)) ? 'was changed after it was received' : undefined;
}

async function findBase(
  context: StageContext,
  last: LastBackup,
  source: BackupSource,
  here: readonly FoundSubvolume[],
  continued: ContinuedFile | undefined,
): Promise<LastBackup> {
  if (snapshotOf(last, here, source)?.isOfSource) return last;
  const made = here.find(
    ({ uuid, receivedUuid }) => uuid === source.parentUuid && receivedUuid !== undefined,
  );
  if (!made) return last;
  const recorded = continued?.snapshot_uuid === made.uuid ? continued.manifest_key : undefined;
  if (recorded !== undefined) return (await readBackup(context, recorded)) ?? last;
  return memberOf(last, made.receivedUuid) ?? last;
}

/** The backup at a key, where nothing is damaged. */
async function readBackup(context: StageContext, manifestKey: string): Promise<PublishedBackup | undefined> {
  const manifest = await readManifest(context.bucket, manifestKey).catch((error: unknown) => {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    context.log.warn(`the backup that was restored here cannot be built on: ${describeError(error)}`);
    return undefined;
  });
  return manifest && { manifestKey, manifest, chain: await lookAtChain(context, manifestKey, manifest) };
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
  return {
    manifestKey: found.key,
    manifest: found.manifest,
    chain: { ...chain, members, streamUuids },
  };
}
