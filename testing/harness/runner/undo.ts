/** Undoes what setup recorded, and nothing else, in an order in which it can be done again if it breaks off. */
import { realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathExists } from '../../../lib/edge/files/files.ts';
import { removeFilesystemIn } from '../loop-filesystem.ts';
import { endProcessesWithMark } from '../processes/marked-processes.ts';
import { openHarnessBucket } from '../steps/bucket.ts';
import type { Step } from './run-step.ts';
import { readState, removeState, type State, writeState } from './state.ts';
import { markOf } from './tool.ts';

/** What an undoing may leave. */
export interface UndoOptions {
  /** Leave the objects in a bucket that is not the harness's own: the way out when it cannot be reached any more. */
  readonly leaveObjects?: boolean;
}

/**
 * Ends the processes of the recorded run, empties its prefix on a server that is not the harness's own, unmounts and removes.
 * @returns false when nothing was recorded.
 * @throws Error with all that could not be undone; what a second attempt needs stays recorded.
 */
export async function undoRecorded(
  step: Pick<Step, 'places' | 'log'>,
  { leaveObjects = false }: UndoOptions = {},
): Promise<boolean> {
  const { places, log } = step;
  // Before the record is read: a step that lives on could write it.
  await endProcessesWithMark(markOf(places));
  const state = await readState(places);
  if (!state) return false;
  const [failures, left]: [string[], State['made']] = [[], []];
  const attempt = async (name: State['made'][number], undo: () => Promise<unknown>) => {
    try {
      await undo();
      log.note(`undone: ${name}`);
    } catch (error) {
      left.push(name);
      failures.push(error instanceof Error ? error.message : String(error));
    }
  };
  const hasObjects = state.s3?.server === 'env' && !leaveObjects;
  for (const name of state.made) {
    const path = join(places.runDirectory, name);
    await attempt(name, async () => {
      // The settings say where the objects are, so they go last.
      if (name === 'tool.env' && hasObjects && (await pathExists(path))) await emptyPrefix(step, state);
      if (name === 'filesystem') await removeFilesystem(path);
      else await rm(path, { recursive: true, force: true });
    });
  }
  if (failures.length === 0) {
    await removeState(places);
    return true;
  }
  await writeState(places, { ...state, made: left, backups: [] });
  throw new Error(`not all could be undone: ${failures.join('; ')}`);
}

/** Removes every object of the run from the bucket, and forgets the backups. @returns how many there were */
export async function emptyPrefix({ places }: Pick<Step, 'places'>, state: State): Promise<number> {
  const bucket = await openHarnessBucket(places);
  try {
    const removed = await bucket.empty();
    await writeState(places, { ...state, backups: [] });
    return removed;
  } catch (error) {
    const { name, message } = error as Error;
    throw new Error(
      `the objects of this run are left below ${bucket.name}/${bucket.prefix}/: ${name}: ${message}` +
        '; when the bucket cannot be reached any more: teardown-btrfs.ts --leave-objects',
      { cause: error },
    );
  } finally {
    bucket.close();
  }
}

async function removeFilesystem(folder: string): Promise<void> {
  const real = await realpath(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (real !== undefined) await removeFilesystemIn(real);
}
