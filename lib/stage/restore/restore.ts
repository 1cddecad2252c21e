import { dirname } from 'node:path';
import { describeError, ToolError } from '../../core/errors.ts';
import type { StoredManifest } from '../../core/format/manifest.ts';
import { readableTimestamp } from '../../core/format/names.ts';
import { isWorthReading } from '../../core/plan/chunk-problem.ts';
import type { ThawObject } from '../../core/thaw/thaw-plan.ts';
import { formatCount, formatSize } from '../../core/units.ts';
import { lockForReading } from '../../edge/files/reading-lock.ts';
import { forgetWriteErrors } from '../../edge/files/sync-filesystem.ts';
import type { ThawTerms } from '../../edge/s3/thaw-requests.ts';
import { heldBytesFor } from '../../transfer/back/fetching.ts';
import type { Selection } from '../bucket/backups.ts';
import { checkReadable } from '../bucket/identity.ts';
import { lookAtChunks } from '../bucket/look-at-chunks.ts';
import type { StageContext } from '../context.ts';
import { warnOfDownloadMemory } from '../memory-need.ts';
import { compareWithSource, type VerifyMode } from './compare-restored.ts';
import {
  checkContinuable,
  checkContinuableBackup,
  putCopy,
  rememberContinued,
  takeCopyBack,
} from './continue-chain.ts';
import { findNestedBackups, type MissingSubvolume } from './nested-backups.ts';
import { namingOtherPoints } from './other-points.ts';
import { receivableTarget } from './receivable.ts';
import { receiveBackup } from './receive-backup.ts';
import { awaitRoom, checkRoom } from './room.ts';
import { makeSpoolDirectory, partsToKeep } from './staging/kept.ts';
import { leaveForLater, removeStaging } from './staging/leave.ts';
import { lookForLeftRestores } from './staging/left-behind.ts';
import { RestoreRecord } from './staging/record.ts';
import { openStaging, type Staging } from './staging/staging.ts';
import { checkFree, checkPlace, isInPlace, putInPlace, sealTarget } from './target.ts';
import { chunksOf, thawAndWait, thawingAgain, thawRequestFor } from './thaw.ts';
import { resolveThawedChain } from './thaw-documents.ts';

/** What to restore, and where to. */
export interface RestoreRequest {
  readonly subvolume: string;
  readonly target: string;
  readonly selection: Selection;
  readonly verifyMode: VerifyMode;
  readonly readOnly: boolean;
  /** Leaves in SNAPSHOT_DIR what the next backup builds on. */
  readonly continuesChain?: boolean;
  /** What is asked for instead of RESTORE_TIER and RESTORE_DAYS. */
  readonly thaw: Partial<ThawTerms>;
  /** False: chunks that are not thawed are requested, and the restore ends. */
  readonly mayWait: boolean;
  /** True where the filesystem of TARGET goes with this run: a failure keeps nothing for another one. */
  readonly isForOnce?: boolean;
  /** Called with the backup that is at TARGET, before what knows of this restore is removed. */
  readonly onInPlace?: (restored: StoredManifest) => Promise<void>;
}

/** What was restored; `proofs` say what was checked and what was not. */
export interface RestoreOutcome {
  readonly chain: readonly StoredManifest[];
  readonly bytes: number;
  readonly proofs: readonly string[];
  /** Nested subvolumes of the source, which are not in this backup. */
  readonly missing: readonly MissingSubvolume[];
  /** The snapshot that the next backup builds on. */
  readonly continued: string | undefined;
}

/**
 * Restores one backup to a path that does not exist yet, or continues a restore to it that was stopped.
 * @throws ToolError; nothing is at TARGET then, and what was received whole is kept beside it for the next run, unless all was restored
 *   and what followed failed, such as the comparison with the source snapshot: then TARGET is kept.
 */
export async function restoreBackup(context: StageContext, asked: RestoreRequest): Promise<RestoreOutcome> {
  const reading = await lockForReading(context.settings.RUN_DIR);
  if (!reading) context.log.warn('a prune runs on this host: what it deletes cannot be restored');
  try {
    return await restoreLocked(context, asked);
  } finally {
    await reading?.release();
  }
}

async function restoreLocked(context: StageContext, asked: RestoreRequest): Promise<RestoreOutcome> {
  const { subvolume, selection, continuesChain } = asked;
  await checkPlace(asked.target);
  if (continuesChain) await checkContinuable(context, subvolume, asked.target);
  const looking = <Result>(look: () => Promise<Result>) => namingOtherPoints(context, subvolume, look);
  const thaw = { terms: asked.thaw, mayWait: asked.mayWait };
  const chain = await looking(() => resolveThawedChain(context, subvolume, selection, thaw));
  await looking(() => checkReadable(context, chain));
  const request = { ...asked, target: await receivableTarget(context, chain, asked.target) };
  const staging = await openStaging(request.target);
  try {
    return await restoreWithin(context, request, { staging, found: chain, looking });
  } catch (error) {
    if (asked.isForOnce) throw error;
    // What went wrong first is what the user must read.
    await leaveForLater(context, request.target, staging).catch((second: unknown) =>
      context.log.warn(describeError(second)),
    );
    throw error;
  } finally {
    await staging.close();
  }
}

async function restoreWithin(
  context: StageContext,
  request: RestoreRequest,
  {
    staging,
    found,
    looking,
  }: Pick<Receiving, 'staging' | 'looking'> & { readonly found: readonly StoredManifest[] },
): Promise<RestoreOutcome> {
  const { log } = context;
  const { target } = request;
  const isThere = await isInPlace(target, (await staging.readRecord())?.target_uuid);
  if (!isThere) await checkFree(target);
  // Before room is looked at: what is left of a killed restore takes up some.
  await lookForLeftRestores(context, dirname(target), staging.path);
  const record = await RestoreRecord.open(context, staging, request, found, isThere);
  // What is in place already was restored as of then.
  const chain = isThere ? found.slice(0, record.from) : found;
  if (chain.length < found.length) noteOlder(context, request, chain.at(-1), found.at(-1));
  const newest = chain.at(-1);
  if (!newest) throw new Error('a chain has at least one manifest');
  if (request.continuesChain) checkContinuableBackup(newest.manifest);
  log.info(`restoring ${describeChain(chain)} to ${target}`);
  if (record.from > 0) {
    log.info(`continuing with what was received: ${record.from} of ${formatCount(chain.length, 'stream')}`);
  }
  if (!isThere) {
    await receiveRest(context, request, { staging, record, chain, looking });
    if (!record.received) throw new Error('nothing was received');
    const { received } = record;
    if (!request.continuesChain) await takeCopyBack(record);
    const source = request.continuesChain
      ? await putCopy(context, staging, record, newest, received)
      : received.path;
    await putInPlace(context, target, source, staging, record);
  }
  const continued = request.continuesChain ? record.file.continued?.path : undefined;
  if (continued !== undefined) await rememberContinued(context, newest, continued);
  else if (request.continuesChain) {
    log.warn(
      `${target} was in its place already, restored without CONTINUE=1: the next backup of it is a full one`,
    );
  }
  if (request.readOnly) await sealTarget(target);
  const received = `every part matched its manifest's SHA-256; btrfs receive confirmed ${formatCount(chain.length, 'stream')}`;
  const compared = await compareWithSource(context, newest.manifest, target, request.verifyMode).catch(
    async (error: unknown) => {
      if (context.signal.aborted) {
        log.warn(`${target} was restored, but not compared to the end: the same command compares it again`);
        throw error;
      }
      await removeStaging(staging);
      log.warn(`${target} was restored and kept, but the comparison failed; VERIFY=none leaves it out`);
      throw error;
    },
  );
  const missing = await findNestedBackups(context, newest.manifest);
  await request.onInPlace?.(newest);
  await removeStaging(staging);
  const bytes = chain.reduce((sum, { manifest }) => sum + manifest.total_bytes, 0);
  return { chain, bytes, proofs: [received, compared], missing, continued };
}

/**
 * An earlier run, which was interrupted afterwards, has put an older backup to TARGET than is asked for now.
 * @throws ToolError (usage) when the newer one was named; the newest may only have been published since
 */
function noteOlder(
  { log }: StageContext,
  { target, selection }: RestoreRequest,
  there: StoredManifest | undefined,
  asked: StoredManifest | undefined,
): void {
  const [is, wanted] = [there, asked].map((stored) => readableTimestamp(stored?.manifest.created_at ?? ''));
  const message = `${target} has the backup of ${is} already, from a restore that was interrupted at its end`;
  if (selection.at === undefined && selection.manifest === undefined) {
    log.warn(`${message}; it is finished now. A newer one is of ${wanted}: restore it to another TARGET`);
    return;
  }
  throw new ToolError(`${message}, not that of ${wanted}`, {
    kind: 'usage',
    hint: `choose another TARGET, or finish that restore with MANIFEST=${there?.key}`,
  });
}

/** What the streams of a chain are received with. */
interface Receiving {
  readonly staging: Staging;
  readonly record: RestoreRecord;
  readonly chain: readonly StoredManifest[];
  readonly looking: <Result>(look: () => Promise<Result>) => Promise<Result>;
}

/** Looks at what is still to be received, thaws it, and receives it. */
async function receiveRest(
  context: StageContext,
  request: RestoreRequest,
  { staging, record, chain, looking }: Receiving,
): Promise<void> {
  const rest = chain.slice(record.from);
  if (rest.length === 0) return;
  const objects = await looking(() => checkChunks(context, rest));
  await warnOfDownloadMemory(context, 'this restore', heldBytesFor(chunksOf(rest)));
  const isBegun = record.from > 0;
  const { SPOOL_DIR } = context.settings;
  if (SPOOL_DIR !== undefined) await makeSpoolDirectory(SPOOL_DIR);
  // Before anything is thawed, which costs money; a wait may be long, so afterwards as well.
  await checkRoom(context, rest, isBegun, staging.path);
  const thaw = thawRequestFor(context, rest, request.thaw);
  await thawAndWait(context, thaw, request.mayWait, { known: objects });
  await checkRoom(context, rest, isBegun, staging.path);
  const source = { chunks: chunksOf(rest), thawAgain: thawingAgain(context, rest, request) };
  await forgetWriteErrors(staging.path);
  for (const [index, stored] of rest.entries()) {
    const { key, manifest } = stored;
    const label = `${request.subvolume} ${manifest.created_at} (${record.from + index + 1}/${chain.length})`;
    const kept = await partsToKeep(context, record, stored, staging.path);
    const stream = await receiveBackup(context, manifest, record.received, staging, label, {
      ...source,
      kept,
    });
    const deleted = await record.advance(key, stream);
    await kept?.parts.remove();
    const next = rest[index + 1];
    if (deleted !== undefined && next) await awaitRoom(context, next, deleted, staging.path);
  }
}

/** Looks at every chunk of the chain before the first byte is fetched: better now than after ten hours. Gives what has to thaw. */
async function checkChunks(
  context: StageContext,
  chain: readonly StoredManifest[],
): Promise<readonly ThawObject[]> {
  const looked = await lookAtChunks(context, chunksOf(chain));
  const lost = looked.filter(
    ({ chunk, head, problem }) => problem !== undefined && !isWorthReading(chunk, head),
  );
  if (lost[0]) {
    const { chunk, problem } = lost[0];
    const others =
      lost.length > 1 ? `, and ${formatCount(lost.length - 1, 'other')} cannot be read either` : '';
    throw new ToolError(`chunk ${chunk.key} ${problem}${others}`, {
      kind: 'damage',
      hint: 'make verify shows all that is affected',
    });
  }
  const doubtful = looked.filter(({ problem }) => problem !== undefined);
  if (doubtful[0]) {
    const { chunk, problem } = doubtful[0];
    context.log.warn(
      `${doubtful.length} of ${formatCount(looked.length, 'chunk')} don't match the manifest's ETag or checksum, such as ${chunk.key}, which ${problem}; reading them will settle it`,
    );
  }
  return looked.map(({ chunk, head }) => ({
    key: chunk.key,
    sizeBytes: chunk.size,
    state: head?.thaw ?? { kind: 'readable' },
  }));
}

function describeChain(chain: readonly StoredManifest[]): string {
  const [full, ...incrementals] = chain.map(({ manifest }) => manifest);
  const newest = incrementals.at(-1) ?? full;
  const bytes = chain.reduce((sum, { manifest }) => sum + manifest.total_bytes, 0);
  const on =
    incrementals.length > 0
      ? ` (full of ${readableTimestamp(full?.created_at ?? '')} and ${formatCount(incrementals.length, 'incremental')})`
      : '';
  return `${newest?.subvolume} as of ${readableTimestamp(newest?.created_at ?? '')}${on}, ${formatSize(bytes)}`;
}
