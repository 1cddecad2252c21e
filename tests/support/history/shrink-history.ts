/** Makes a history that fails shorter, as long as it fails for the same reason. */
import type { Ground } from './ground.ts';
import type { PlannedStep } from './plan-history.ts';
import { type HistoryOutcome, reasonOf, runHistory } from './run-history.ts';
import type { Switches } from './switches.ts';

/** Leaves out steps, many at first and then one by one; gives the shortest history that was found. */
export async function shrinkHistory(
  ground: Ground,
  outcome: HistoryOutcome,
  isOn: Switches,
  signal: AbortSignal,
): Promise<HistoryOutcome> {
  let shortest = outcome;
  const reason = reasonOf(outcome.failure ?? '');
  const stillFails = async (steps: readonly PlannedStep[]): Promise<boolean> => {
    const tried = await runHistory(ground, { ...outcome.plan, steps }, isOn, signal);
    const fails = tried.failure !== undefined && reasonOf(tried.failure) === reason;
    if (fails) shortest = tried;
    return fails;
  };
  for (
    let size = Math.ceil(outcome.plan.steps.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = 0; from < shortest.plan.steps.length; ) {
      const { steps } = shortest.plan;
      if (!(await stillFails([...steps.slice(0, from), ...steps.slice(from + size)]))) from += size;
    }
  }
  return shortest;
}
