/** What changes around the backups: settings, and the clock. */
import { settingsOf } from '../settings.ts';
import { choose } from './edit.ts';
import type { HistoryWorld } from './history-world.ts';
import type { Action, Steps } from './step.ts';

const hourMs = 3_600_000;

/** From snapshots of ours to those of others, or back. */
const switchSource: Action = async (world) => {
  if (world.mode === 'received') return undefined;
  const value = 'path' in world.selected ? `data=snapshots:${world.snapshots}/*` : `data=${world.live}`;
  select(world, value);
  return `SUBVOLUMES=${'path' in world.selected ? 'data=/live' : 'data=snapshots:/snapshots/*'} from now on`;
};

function select(world: HistoryWorld, value: string): void {
  const [selected] = settingsOf({ SUBVOLUMES: value }).SUBVOLUMES ?? [];
  if (!selected) throw new Error(`${value} selects nothing`);
  world.selected = selected;
}

const changeClock: Action = async ({ counters }, random) => {
  const hours = choose(random, [1, 25, 24 * 200, -1]) ?? 1;
  counters.clockMs += hours * hourMs;
  return `the clock moves by ${hours} h`;
};

const changeSettings: Action = async (world, random) => {
  const compressed = choose(random, ['auto', 'false'] as const) ?? 'auto';
  const keep = 1 + random.below(4);
  Object.assign(world.context.settings, { COMPRESSED_SEND: compressed, KEEP_SNAPSHOTS: keep });
  return `KEEP_SNAPSHOTS=${keep}, COMPRESSED_SEND=${compressed} from now on`;
};

/** The steps, by name. */
export const habitSteps = {
  'switch-source': { action: switchSource, weight: 2 },
  'change-clock': { action: changeClock, weight: 1 },
  'change-settings': { action: changeSettings, weight: 2 },
} as const satisfies Steps;
