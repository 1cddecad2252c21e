/** What `drill.ts` is asked: its options, checked against each other. */
import { ToolError } from '../../core/errors.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import type { DrillsRequest } from '../../stage/watch/drill/drills.ts';
import type { OptionValues } from './parse-options.ts';
import {
  anySubvolumeOption,
  pointOptions,
  refuseEmptyName,
  refuseTwoPoints,
  thawOptions,
} from './point-options.ts';
import { readThawTerms } from './thaw-options.ts';

const modes = ['full', 'sample', 'none'] as const;

/** Of `drill.ts`. */
export const drillOptions = {
  ...pointOptions,
  subvolume: anySubvolumeOption,
  verify: {
    type: 'string',
    value: 'MODE',
    about: `compare with the snapshot, where it is here: ${modes.join(', ')} (default: VERIFY_MODE)`,
  },
  ...thawOptions,
  'no-wait': { type: 'boolean', about: 'exit 5 while chunks thaw, instead of waiting for RESTORE_TIMEOUT' },
  'if-due': { type: 'boolean', about: 'only where the last drill is as old as DRILL says' },
  'dry-run': { type: 'boolean', about: 'print the plan and do nothing' },
} as const;

/** Checks them. @throws ToolError (usage) */
export function readDrillOptions(
  options: OptionValues<keyof typeof drillOptions>,
  { DRILL, VERIFY_MODE }: Pick<SettingValues, 'DRILL' | 'VERIFY_MODE'>,
): DrillsRequest {
  const { subvolume, at, manifest } = options;
  refuseEmptyName(subvolume);
  refuseTwoPoints(at, manifest);
  if (manifest !== undefined && subvolume === undefined) {
    throw new ToolError('MANIFEST is given without SUBVOLUME', {
      kind: 'usage',
      hint: 'make drill SUBVOLUME=name MANIFEST=key',
    });
  }
  const verifyMode = modes.find((mode) => mode === (options.verify ?? VERIFY_MODE));
  if (!verifyMode) {
    throw new ToolError(`VERIFY=${options.verify} is not a mode`, {
      kind: 'usage',
      hint: `use ${modes.join(', ')}`,
    });
  }
  return {
    subvolume,
    selection: { at, manifest },
    thaw: readThawTerms(options),
    verifyMode,
    mayWait: options['no-wait'] === undefined,
    cadence: options['if-due'] === undefined ? undefined : DRILL,
    isDryRun: options['dry-run'] !== undefined,
  };
}
