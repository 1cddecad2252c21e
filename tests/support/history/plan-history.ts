/** From a seed to a history: which steps in which order, each with a number from which its own choices follow. */
import {
  type DeterministicRandom,
  deterministicRandom,
} from '../../../testing/harness/deterministic-random.ts';
import { backupSteps } from './backup-steps.ts';
import { bucketSteps } from './bucket-steps.ts';
import { chance, choose } from './edit.ts';
import { editSteps, edits } from './edit-steps.ts';
import { filesystemSteps } from './filesystem-steps.ts';
import { habitSteps } from './habit-steps.ts';
import type { Choices, Mode } from './history-world.ts';
import { liveSteps } from './live-steps.ts';
import { restoreSteps } from './restore-steps.ts';
import { snapshotSteps } from './snapshot-steps.ts';
import type { Action, Steps } from './step.ts';
import { chooseWeighted, type Switches } from './switches.ts';

/** A step of a plan. */
export interface PlannedStep {
  readonly name: string;
  readonly number: number;
}

/** A history to be. */
export interface HistoryPlan {
  readonly seed: number;
  readonly choices: Choices;
  readonly steps: readonly PlannedStep[];
}

/** The groups of steps, and how often one of each is taken. */
const groups: Readonly<
  Record<string, { readonly steps: Steps; readonly weight: number; readonly midWeight: number }>
> = {
  edits: { steps: editSteps, weight: 60, midWeight: 8 },
  snapshots: { steps: snapshotSteps, weight: 16, midWeight: 16 },
  lives: { steps: liveSteps, weight: 8, midWeight: 4 },
  filesystem: { steps: filesystemSteps, weight: 5, midWeight: 4 },
  bucket: { steps: bucketSteps, weight: 2, midWeight: 1 },
  restores: { steps: restoreSteps, weight: 4, midWeight: 2 },
  habits: { steps: habitSteps, weight: 2, midWeight: 1 },
};

const allSteps: Steps = Object.assign({}, backupSteps, ...Object.values(groups).map(({ steps }) => steps));

/** What a step of a plan does. */
export function actionOf(name: string): Action {
  const step = allSteps[name];
  if (!step) throw new Error(`there is no step ${name}; known are ${Object.keys(allSteps).join(', ')}`);
  return step.action;
}

/** What can be switched off: steps, edits and groups of both. */
export const switchable: readonly string[] = [
  ...Object.keys(groups),
  ...new Set(edits.map(({ group }) => group)),
  ...Object.keys(allSteps),
];

/** The groups that a step belongs to, and its name. */
function namesOf(name: string): readonly string[] {
  const own = Object.entries(groups).flatMap(([group, { steps }]) => (name in steps ? [group] : []));
  return [name, ...own, ...edits.filter((edit) => edit.name === name).map(({ group }) => group)];
}

const modes: readonly Mode[] = ['live', 'live', 'live', 'adopted', 'received'];
const mountChoices = ['', '', 'compress=zstd', 'compress-force=lzo', 'nodatacow', 'max_inline=0'];

/** Most edits need something to be there. */
const beginnings = [
  'mkdir',
  'write-file',
  'mkdir',
  'write-file',
  'write-file',
  'mkdir',
  'symlink',
  'write-file',
];

/** Plans a history. What is switched off is left out; the rest is the same as with it. */
export function planHistory(seed: number, isOn: Switches): HistoryPlan {
  const random = deterministicRandom(`history ${seed}`);
  const choices: Choices = {
    mode: choose(random, modes) ?? 'live',
    mountOptions: choose(random, mountChoices) ?? '',
    keepSnapshots: 1 + random.below(4),
    compressedSend: chance(random, 70) ? 'auto' : 'false',
  };
  const names: string[] = [...beginnings];
  for (let left = 3 + random.below(8); left > 0; left -= 1) names.push(...chooseStep(random, 'edits'));
  for (let left = 3 + random.below(6); left > 0; left -= 1) {
    for (let edits = 1 + random.below(4); edits > 0; edits -= 1) names.push(...chooseStep(random));
    if (choices.mode !== 'live' && chance(random, 85)) names.push('take-snapshot');
    names.push(...planBackup(random));
  }
  const steps = names.map((name) => ({ name, number: random.below(2 ** 31) }));
  return { seed, choices, steps: steps.filter(({ name }) => isOn(...namesOf(name))) };
}

function chooseStep(random: DeterministicRandom, only?: string, isMid = false): readonly string[] {
  const weighted = Object.entries(groups).map(([group, { steps, weight, midWeight }]) => ({
    group,
    steps,
    weight: isMid ? midWeight : weight,
  }));
  const group = weighted.find(({ group }) => group === only) ?? chooseWeighted(random, weighted);
  const members = Object.entries(group?.steps ?? {}).map(([name, { weight }]) => ({ name, weight }));
  const chosen = chooseWeighted(random, members);
  return chosen ? [chosen.name] : [];
}

/** All at once, or stage by stage with other things between, which may be interrupted. */
function planBackup(random: DeterministicRandom): readonly string[] {
  if (chance(random, 60)) return ['backup'];
  const mid = () => (chance(random, 40) ? chooseStep(random, undefined, true) : []);
  const interrupted = () =>
    chance(random, 40) ? [chance(random, 60) ? 'stopped-upload' : 'upload-with-faults', ...mid()] : [];
  const begin = ['prepare', ...mid(), ...interrupted(), ...interrupted()];
  if (chance(random, 30)) return [...begin, 'backup'];
  const again = chance(random, 30) ? ['publish-with-faults', ...mid()] : [];
  return [...begin, 'upload', ...mid(), ...again, 'publish'];
}
