/** Edits as steps: of the live subvolume, and, for other steps, of any subvolume. */
import { subvolumesIn } from './commands.ts';
import type { Edit } from './edit.ts';
import { contentEdits } from './edit-content.ts';
import { extentEdits } from './edit-extents.ts';
import { metadataEdits } from './edit-metadata.ts';
import { nameEdits } from './edit-names.ts';
import { Refused } from './hands.ts';
import type { HistoryWorld } from './history-world.ts';
import type { Action, Steps } from './step.ts';
import { chooseWeighted } from './switches.ts';

const groups = { content: contentEdits, names: nameEdits, metadata: metadataEdits, extents: extentEdits };

/** What is done more often, or less, than the rest. */
const weights: Readonly<Record<string, number>> = {
  'write-file': 12,
  'write-big-file': 1,
  overwrite: 6,
  append: 4,
  allocate: 5,
  rename: 8,
  'swap-names': 5,
  mkdir: 4,
  'remove-tree': 1,
  'very-long-path': 1,
  reflink: 5,
  'inherit-acl': 1,
  'inherit-compression': 1,
};

/** Every edit with its group, name and weight. */
export const edits = Object.entries(groups).flatMap(([group, members]) =>
  Object.entries<Edit>(members).map(([name, edit]) => ({ group, name, edit, weight: weights[name] ?? 3 })),
);

async function apply(
  world: HistoryWorld,
  random: Parameters<Action>[1],
  root: string,
  edit: Edit,
): Promise<string | undefined> {
  const { hands } = world.ground;
  // Extents can be shared within one filesystem only.
  const snapshots = root.startsWith(`${world.mount}/`) ? await subvolumesIn(world.snapshots) : [];
  try {
    return await edit({ hands, random, root, entries: await hands.list(root), snapshots });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return `nothing, as the kernel refused it: ${error.message}`;
  }
}

/** Makes one edit, of the kinds that are on, in any subvolume; gives it in plain words. */
export async function editRandomly(
  world: HistoryWorld,
  random: Parameters<Action>[1],
  root: string,
): Promise<string> {
  const on = edits.filter(({ group, name }) => world.isOn(group, name));
  const chosen = chooseWeighted(random, on);
  if (!chosen) return 'nothing';
  return `${chosen.name}: ${(await apply(world, random, root, chosen.edit)) ?? 'nothing to do it to'}`;
}

/** The edits of the live subvolume. */
export const editSteps: Steps = Object.fromEntries(
  edits.map(({ name, edit, weight }) => [
    name,
    { action: (world, random) => apply(world, random, world.live, edit), weight },
  ]),
);
