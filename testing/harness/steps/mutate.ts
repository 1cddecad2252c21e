/** One round of changes to every subvolume of a run. */
import { join } from 'node:path';
import { mutateData } from '../mutate-data.ts';
import { subvolumeNames } from '../runner/places.ts';
import type { Step } from '../runner/run-step.ts';
import { type State, writeState } from '../runner/state.ts';

/** Every subvolume has a seed of its own, so that no two hold the same. In bytes and files. */
export function seedsOf({ settings, places }: Pick<Step, 'settings' | 'places'>) {
  return subvolumeNames.map((name, index) => ({
    name,
    path: join(places.mountPoint, name),
    seed: settings.seed + index,
    // `data` is the large one; the others have a quarter of it.
    files: index === 0 ? settings.seedFiles : Math.max(64, Math.floor(settings.seedFiles / 4)),
    totalBytes: index === 0 ? settings.seedBytes : Math.floor(settings.seedBytes / 4),
  }));
}

/** Changes every subvolume, and records that this round is over. */
export async function mutateAll(
  step: Pick<Step, 'settings' | 'places' | 'log'>,
  state: State,
): Promise<State> {
  const round = state.rounds + 1;
  for (const { name, path, seed } of seedsOf(step)) {
    await mutateData(path, { seed, round });
    step.log.say(`${name}: changed, round ${round}`);
  }
  const next = { ...state, rounds: round };
  await writeState(step.places, next);
  return next;
}
