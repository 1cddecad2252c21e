/** Runs a history, and checks what it published. */
import { deterministicRandom } from '../../../testing/harness/deterministic-random.ts';
import { checkPoints } from './check-points.ts';
import { clearFilesystem } from './commands.ts';
import type { Ground } from './ground.ts';
import { Refused } from './hands.ts';
import { type HistoryWorld, makeWorld } from './history-world.ts';
import { actionOf, type HistoryPlan, type PlannedStep } from './plan-history.ts';
import { PropertyFailure } from './step.ts';
import type { Switches } from './switches.ts';
import type { Tally } from './tally.ts';

/** How a history went. */
export interface HistoryOutcome {
  readonly plan: HistoryPlan;
  /** What was done, in plain words. */
  readonly story: readonly string[];
  readonly tally: Tally;
  /** Undefined when the property holds. */
  readonly failure: string | undefined;
}

/**
 * Runs a history on the ground.
 * @throws what is neither a failure of the property nor a refusal of the kernel, and the signal's reason.
 */
export async function runHistory(
  ground: Ground,
  plan: HistoryPlan,
  isOn: Switches,
  signal: AbortSignal,
): Promise<HistoryOutcome> {
  const { mode, mountOptions, keepSnapshots, compressedSend } = plan.choices;
  const story = [
    `mode ${mode}, mount options "${mountOptions}", KEEP_SNAPSHOTS=${keepSnapshots}, COMPRESSED_SEND=${compressedSend}`,
  ];
  const world = await makeWorld(ground, plan.choices, isOn);
  const { tally } = world;
  let failure: string | undefined;
  try {
    for (const step of plan.steps) {
      signal.throwIfAborted();
      tally.count('steps', step.name);
      story.push(await runStep(world, step));
    }
    signal.throwIfAborted();
    await checkPoints(world);
  } catch (error) {
    if (!(error instanceof PropertyFailure)) throw error;
    failure = error.message;
    tally.count('failures', reasonOf(failure));
  } finally {
    await world.remove();
    if (failure !== undefined) await clearFilesystem(ground.restores);
  }
  return { plan, story, tally, failure };
}

async function runStep(world: HistoryWorld, { name, number }: PlannedStep): Promise<string> {
  try {
    const said = await actionOf(name)(world, deterministicRandom(`${name} ${number}`));
    return `${name}.${number}: ${said ?? 'nothing to do it to'}`;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return `${name}.${number}: refused by the kernel: ${error.message}`;
  }
}

/** A failure without what differs from one history to another. */
export function reasonOf(failure: string): string {
  return failure
    .split('\n')
    .slice(0, 2)
    .join(' ')
    .replaceAll(/"[^"]*"/g, '"…"')
    .replaceAll(/\d{8}T\d{6}Z|[0-9a-f]{8}-[0-9a-f-]{27}|history-\d+|\/[\w./-]+|\b[0-9a-f]{64}\b|\d{2,}/g, '…')
    .slice(0, 300);
}
