import { statfs } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { describeError, ToolError } from '../../core/errors.ts';
import type { Manifest, StoredManifest } from '../../core/format/manifest.ts';
import { readableTimestamp } from '../../core/format/names.ts';
import { isWorthReading } from '../../core/plan/chunk-problem.ts';
import type { ThawObject } from '../../core/thaw/thaw-plan.ts';
import { formatCount, formatSize } from '../../core/units.ts';
import {
  deleteSubvolume,
  filesystemOf,
  makeReadOnly,
  setMtime,
  takeSnapshot,
} from '../../edge/btrfs/btrfs.ts';
import { pathExists } from '../../edge/files/files.ts';
import type { ThawWish } from '../../edge/s3/thaw-requests.ts';
import type { Selection } from '../bucket/backups.ts';
import { checkReadable } from '../bucket/identity.ts';
import { lookAtChunks } from '../bucket/look-at-chunks.ts';
import { resolveTrustedChain } from '../bucket/signatures.ts';
import type { StageContext } from '../context.ts';
import { compareWithSource, type VerifyMode } from './compare-restored.ts';
import { findNestedBackups, type MissingSubvolume } from './nested-backups.ts';
import { namingOtherPoints } from './other-points.ts';
import { type ReceivedStream, receiveBackup } from './receive-backup.ts';
import { makeStaging, moveOut, removeAbandonedStaging, type Staging } from './staging.ts';
import { chunksOf, thawAndWait, thawingAgain, thawRequestFor } from './thaw.ts';

/** What to restore, and where to. */
export interface RestoreRequest {
  readonly subvolume: string;
  readonly target: string;
  readonly selection: Selection;
  readonly verifyMode: VerifyMode;
  readonly readOnly: boolean;
  /** What is wished for instead of RESTORE_TIER and RESTORE_DAYS. */
  readonly thaw: Partial<ThawWish>;
  /** False: chunks that are not thawed are requested, and the restore ends. */
  readonly mayWait: boolean;
}

/** What was restored; `proofs` say what was checked and what was not. */
export interface RestoreOutcome {
  readonly chain: readonly StoredManifest[];
  readonly bytes: number;
  readonly proofs: readonly string[];
  /** Nested subvolumes of the source, which are not in this backup. */
  readonly missing: readonly MissingSubvolume[];
}

/**
 * Restores one backup to a path that does not exist yet.
 * @throws ToolError; nothing is left at TARGET or beside it then, unless all was restored and what followed
 *   failed, such as the comparison with the source snapshot: then TARGET is kept.
 */
export async function restoreBackup(context: StageContext, request: RestoreRequest): Promise<RestoreOutcome> {
  const { log } = context;
  await checkTarget(request.target);
  const looking = <Result>(look: () => Promise<Result>) =>
    namingOtherPoints(context, request.subvolume, look);
  const chain = await looking(() => resolveTrustedChain(context, request.subvolume, request.selection));
  const newest = chain.at(-1);
  if (!newest) throw new Error('a chain has at least one manifest');
  await looking(() => checkReadable(context, chain));
  log.info(`restoring ${describeChain(chain)} to ${request.target}`);
  const objects = await looking(() => checkChunks(context, chain));
  // Before the free space is looked at: what is left of a killed restore takes up some.
  await removeAbandonedStaging(context, dirname(request.target));
  // Before anything is thawed, which costs money; a wait may be long, so afterwards as well.
  await checkSpace(chain, dirname(request.target));
  const thaw = thawRequestFor(context, chain, request.thaw);
  await thawAndWait(context, thaw, request.mayWait, { known: objects });
  await checkSpace(chain, dirname(request.target));

  const staging = await makeStaging(dirname(request.target));
  const source = { chunks: chunksOf(chain), thawAgain: thawingAgain(context, chain, request) };
  let bytes = 0;
  try {
    let last: ReceivedStream | undefined;
    for (const [index, { manifest }] of chain.entries()) {
      const label = `${request.subvolume} ${manifest.created_at} (${index + 1}/${chain.length})`;
      const before = last;
      last = await receiveBackup(context, manifest, before, staging, label, source);
      // What its child was made from takes up room, and nothing needs it any more.
      if (before) await deleteSubvolume(before.path);
      bytes += manifest.total_bytes;
    }
    if (!last) throw new Error('nothing was received');
    await publishTarget(request, newest.manifest, last, staging);
  } catch (error) {
    // What went wrong first is what the user must read.
    await staging.remove().catch((second: unknown) => log.warn(describeError(second)));
    throw error;
  }
  await staging.remove();
  const received = `every part matched its manifest's SHA-256; btrfs receive confirmed ${formatCount(chain.length, 'stream')}`;
  const compared = await compareWithSource(
    context,
    newest.manifest,
    request.target,
    request.verifyMode,
  ).catch((error: unknown) => {
    log.warn(`${request.target} was restored and kept, but the comparison failed; VERIFY=none leaves it out`);
    throw error;
  });
  return {
    chain,
    bytes,
    proofs: [received, compared],
    missing: await findNestedBackups(context, newest.manifest),
  };
}

/** Makes TARGET of the last received subvolume, in one step: it is whole from the moment at which it is there. */
async function publishTarget(
  { target, readOnly }: RestoreRequest,
  { snapshot }: Manifest,
  received: ReceivedStream,
  staging: Staging,
): Promise<void> {
  const path = staging.freePath();
  await takeSnapshot(received.path, path, 'writable');
  // What the streams do not carry over.
  if (snapshot.mtime !== undefined) await setMtime(path, snapshot.mtime);
  await checkTarget(target);
  await moveOut(path, target);
  // Made read-only last: a read-only snapshot would inherit received_uuid and be taken for the chain's own, and cannot be moved.
  if (!readOnly) return;
  await makeReadOnly(target).catch(async (error: unknown) => {
    await deleteSubvolume(target);
    throw error;
  });
}

async function checkTarget(target: string): Promise<void> {
  if (!isAbsolute(target) || resolve(target) !== target) {
    throw new ToolError(`TARGET "${target}" is not a plain absolute path`, {
      kind: 'usage',
      hint: 'name it from the root, without "." and ".."',
    });
  }
  if (await pathExists(target)) {
    throw new ToolError(`TARGET ${target} exists already`, {
      kind: 'usage',
      hint: 'name a path that does not exist yet; nothing is ever restored over something',
    });
  }
  const parent = dirname(target);
  if (!(await pathExists(parent))) {
    throw new ToolError(`the directory ${parent} does not exist`, {
      kind: 'usage',
      hint: `make it: mkdir -p ${parent}`,
    });
  }
  const { type, source } = await filesystemOf(parent);
  if (type !== 'btrfs') {
    throw new ToolError(`${parent} is ${type} on ${source}, not Btrfs`, {
      kind: 'usage',
      hint: 'btrfs receive needs a Btrfs filesystem; choose a TARGET on one',
    });
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

async function checkSpace(chain: readonly StoredManifest[], directory: string): Promise<void> {
  const needed = chain.reduce(
    (sum, { manifest }) => sum + (manifest.stream?.bytes ?? manifest.total_bytes),
    0,
  );
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= needed) return;
  throw new ToolError(
    `the restore needs about ${formatSize(needed)}, but ${directory} has ${formatSize(free)} free`,
    {
      hint: 'make room (what was just deleted counts after: btrfs filesystem sync), or choose a TARGET on another filesystem',
    },
  );
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
