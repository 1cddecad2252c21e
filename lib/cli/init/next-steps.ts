/** What to do after make init: the plan, the first backup, and the proof that it can be restored. */
import type { SettingValues } from '../../core/settings/settings.ts';
import { restoreTargetFor } from '../../stage/setup/machine-facts.ts';

/** The commands, a line each. @param identityFile of a key that was made, which a restore needs */
export async function nextSteps(
  { SUBVOLUMES = [] }: SettingValues,
  config: string,
  identityFile: string | undefined,
): Promise<readonly string[]> {
  const where = settingsOf(config);
  const [first] = SUBVOLUMES;
  const target = first && (await restoreTargetFor(first));
  const key = identityFile === undefined ? '' : ` SET="DECRYPT_WITH=${identityFile}"`;
  return [
    'Next:',
    `  make backup DRY_RUN=1${where}      # the plan; changes nothing`,
    `  make backup${where}`,
    ...(first
      ? [
          `  make restore${where} SUBVOLUME=${first.name} TARGET=${target}${key}      # the proof, to a new path`,
          `  btrfs subvolume delete ${target}      # when you have looked at it`,
        ]
      : []),
    'docs/scheduling.md says how to do this every night.',
    `Keep a copy of ${config}${identityFile === undefined ? '' : ` and ${identityFile}`} outside this house: a restore on another machine needs what is in ${identityFile === undefined ? 'it' : 'them'}.`,
  ];
}

/** What comes before that where the doctor has found something broken. */
export function mendFirst(config: string): string {
  return `Mend what has ✗ first: edit ${config}, then make doctor${settingsOf(config)} looks again. make init does not overwrite it.`;
}

function settingsOf(config: string): string {
  return config === 'config/backup.env' ? '' : ` CONFIG=${config}`;
}
