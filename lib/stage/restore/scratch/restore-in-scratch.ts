/** Restores a chain into a scratch filesystem, has something done with it, and removes it, however that ends. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, ToolError } from '../../../core/errors.ts';
import { imageSizes } from '../../../core/plan/scratch-room.ts';
import { formatSize, MIB } from '../../../core/units.ts';
import { fileError } from '../../../edge/files/files.ts';
import type { Swept } from '../../../edge/files/locked-directory.ts';
import { makeScratchFilesystem, sweepScratchFilesystems } from '../../../edge/scratch/scratch-filesystem.ts';
import type { StageContext } from '../../context.ts';
import { type RestoreOutcome, restoreBackup } from '../restore.ts';
import { freeBytes, type ScratchPlan, streamBytes } from './scratch-plan.ts';

const roomHint = 'make room there, or set SPOOL_DIR to a directory with more, on any filesystem';

/** A disk with less is as good as full. */
const fullBytes = 16 * MIB;

/** What was restored: `tree` is read-only, and gone when the work is done. */
export interface Restored {
  readonly tree: string;
  readonly outcome: RestoreOutcome;
}

/**
 * Restores what a plan says. What killed runs have left goes first.
 * @param mayWait false: chunks that are not thawed are requested, and it ends
 * @throws ToolError; nothing of it is left then
 */
export async function restoreInScratch<Result>(
  context: StageContext,
  plan: ScratchPlan,
  mayWait: boolean,
  work: (restored: Restored) => Promise<Result>,
): Promise<Result> {
  const { directory } = plan;
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw fileError(`cannot use ${directory}`, cause, 'set SPOOL_DIR to a directory that can be written');
  });
  tellSwept(context, await sweepScratchFilesystems(directory), 'a killed run');
  await checkRoom(context, plan);
  const scratch = await makeScratchFilesystem(directory, imageSizes(streamBytes(plan.chain)));
  try {
    const tree = join(scratch.mountPoint, 'tree');
    const outcome = await restoreTo(context, plan, mayWait, tree).catch(async (error: unknown) => {
      throw await explainFullDisk(error, directory);
    });
    return await work({ tree, outcome });
  } finally {
    // What went wrong first is what the user must read.
    await scratch.remove().catch((error: unknown) => {
      context.log.warn(`the scratch filesystem could not be removed: ${describeError(error)}`);
    });
  }
}

/** Reports what was removed of killed runs, and what could not be. */
export function tellSwept({ log }: StageContext, { removed, failures }: Swept, who: string): void {
  for (const path of removed) log.warn(`removed ${path}, which ${who} had left`);
  for (const { path, error } of failures) {
    log.warn(`${path} is of ${who} and could not be removed: ${describeError(error)}`);
  }
}

function restoreTo(
  context: StageContext,
  { subvolume, newest, thaw }: ScratchPlan,
  mayWait: boolean,
  target: string,
): Promise<RestoreOutcome> {
  // Nothing of this outlasts the run, so nothing is kept for another one either.
  const settings = { ...context.settings, SPOOL_DIR: undefined };
  return restoreBackup(
    { ...context, settings },
    {
      subvolume,
      target,
      // As it was planned, whatever is published meanwhile.
      selection: { manifest: newest.key },
      verifyMode: 'none',
      readOnly: true,
      isForOnce: true,
      thaw,
      mayWait,
    },
  );
}

async function checkRoom({ log }: StageContext, { directory, room }: ScratchPlan): Promise<void> {
  const free = await freeBytes(directory);
  const has = `${directory} has ${formatSize(free)} free`;
  if (free < room.atLeast) {
    throw new ToolError(`the scratch image needs about ${formatSize(room.atLeast)}, but ${has}`, {
      hint: roomHint,
    });
  }
  if (free < room.atMost) {
    log.warn(`${has}, and the scratch image takes up to ${formatSize(room.atMost)}: it may not fit`);
  }
}

/** A loop device reports a full disk below it as a failing one. */
async function explainFullDisk(error: unknown, directory: string): Promise<unknown> {
  if (!(error instanceof ToolError) || error.kind !== 'failed') return error;
  if ((await freeBytes(directory)) > fullBytes) return error;
  return new ToolError(`the scratch image does not fit into ${directory}, which is full: ${error.message}`, {
    hint: roomHint,
    cause: error,
    ...(error.childOutput && { childOutput: error.childOutput }),
  });
}
