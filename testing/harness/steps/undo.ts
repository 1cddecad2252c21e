/** Undoes what setup recorded, and nothing else, in an order in which it can be done again if it breaks off. */
import { realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFilesystemIn } from '../loop-filesystem.ts';
import { endProcessesWithMark } from '../processes/marked-processes.ts';
import { openHarnessBucket } from './bucket.ts';
import type { Step } from './run-step.ts';
import { readState, removeState, type State, writeState } from './state.ts';
import { markOf } from './tool.ts';

/**
 * Ends the processes of the recorded run, empties its prefix on a server that is not the harness's own, unmounts and removes.
 * @returns false when nothing was recorded.
 * @throws AggregateError with all that could not be undone; what a second attempt needs is kept.
 */
export async function undoRecorded(step: Pick<Step, 'places' | 'log'>): Promise<boolean> {
  const { places, log } = step;
  // Before the record is read: a step that lives on could write it.
  await endProcessesWithMark(markOf(places));
  const state = await readState(places);
  if (!state) return false;
  const failures: Error[] = [];
  const attempt = async (what: string, undo: () => Promise<unknown>) => {
    try {
      await undo();
      log.note(`undone: ${what}`);
    } catch (error) {
      failures.push(
        new Error(`${what}: ${error instanceof Error ? error.message : error}`, { cause: error }),
      );
    }
  };
  const settingsAreNeeded =
    state.s3?.server === 'env' && !state.s3.cleaned && state.made.includes('tool.env');
  if (settingsAreNeeded) await attempt('objects in the bucket', () => emptyPrefix(step, state));
  const kept: State['made'] = failures.length > 0 ? ['tool.env'] : [];
  if (state.made.includes('filesystem')) {
    await attempt('the filesystem', () => removeFilesystem(places.filesystem));
  }
  for (const name of state.made.filter((made) => made !== 'filesystem' && !kept.includes(made))) {
    await attempt(name, () => rm(join(places.runDirectory, name), { recursive: true, force: true }));
  }
  if (failures.length === 0) {
    await removeState(places);
    return true;
  }
  if (kept.length > 0) await writeState(places, { ...state, made: kept });
  throw new AggregateError(
    failures,
    `not all could be undone: ${failures.map(({ message }) => message).join('; ')}`,
  );
}

/** Removes every object of the run from the bucket, and remembers that. @returns how many there were */
export async function emptyPrefix({ places }: Pick<Step, 'places'>, state: State): Promise<number> {
  const bucket = await openHarnessBucket(places);
  try {
    const removed = await bucket.empty();
    if (state.s3) await writeState(places, { ...state, s3: { ...state.s3, cleaned: true } });
    return removed;
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
