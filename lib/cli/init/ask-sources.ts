/** What to back up, and where its snapshots go. */
import { placeOf, type SelectedSubvolume } from '../../core/settings/rules.ts';
import { resolveSettings } from '../../core/settings/settings.ts';
import { isSubvolumeRoot } from '../../edge/btrfs/btrfs.ts';
import { pathExists } from '../../edge/files/files.ts';
import { type MachineFacts, snapshotDirectoryFor, whyNoSnapshots } from '../../stage/setup/machine-facts.ts';
import type { Answers } from './answers.ts';

/** More are shown as a list, from which to choose. */
const mostInDefault = 4;

/** Asks for SUBVOLUMES and SNAPSHOT_DIR. @returns SNAPSHOT_DIR where it has to be made */
export async function askSources(answers: Answers, facts: MachineFacts): Promise<string | undefined> {
  const { prompter } = answers;
  const isGiven = answers.given('SUBVOLUMES') !== undefined;
  for (const { program, setting } of isGiven ? [] : facts.snapshots) {
    prompter?.say(`${program} takes snapshots here. To send those instead of new ones, write: ${setting}`);
  }
  const found = facts.subvolumes;
  if (!isGiven && found.length > mostInDefault)
    prompter?.say(`Subvolumes here:\n${found.map((each) => `  ${each}`).join('\n')}`);
  const isShort = found.length > 0 && found.length <= mostInDefault;
  const text = await answers.ask({
    key: 'SUBVOLUMES',
    text: 'What to back up: paths of Btrfs subvolumes, or name=/path, with commas between them',
    // What is worth keeping, a script has to say itself.
    preset: prompter && isShort ? found.join(',') : undefined,
    check: whyNotSubvolumes,
  });
  const live = selectedIn(text).filter((selected) => 'path' in selected);
  const [first, ...others] = live;
  if (first === undefined || !('path' in first)) return undefined;
  const directory = await answers.ask({
    key: 'SNAPSHOT_DIR',
    text: 'Directory for its read-only snapshots, on the same filesystem; made when missing',
    preset: snapshotDirectoryFor(first.path),
    check: async (answer) => {
      for (const selected of [first, ...others]) {
        const why = await whyNoSnapshots(answer, placeOf(selected));
        if (why !== undefined) return why;
      }
      return undefined;
    },
  });
  return directory !== '' && !(await pathExists(directory)) ? directory : undefined;
}

async function whyNotSubvolumes(text: string): Promise<string | undefined> {
  for (const selected of selectedIn(text)) {
    if (!('path' in selected)) continue;
    if (!(await pathExists(selected.path))) return `${selected.path} does not exist`;
    if (!(await isSubvolumeRoot(selected.path)))
      return `${selected.path} is not a Btrfs subvolume: btrfs subvolume list shows them`;
  }
  return undefined;
}

function selectedIn(text: string): readonly SelectedSubvolume[] {
  return resolveSettings([{ key: 'SUBVOLUMES', value: text, line: 0 }]).values.SUBVOLUMES ?? [];
}
