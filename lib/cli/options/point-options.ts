/** The options of the scripts that work on one backup of the bucket. */
import { ToolError } from '../../core/errors.ts';
import type { OptionDefinition } from './help.ts';

/** The option of scripts that take any name in the bucket. */
export const anySubvolumeOption = {
  type: 'string',
  value: 'NAME',
  about: 'only this one (default: all in the bucket)',
} as const satisfies OptionDefinition;

/** The options by which a backup of the bucket is chosen. */
export const pointOptions = {
  subvolume: { type: 'string', value: 'NAME', about: 'which subvolume, as make list shows it (required)' },
  at: {
    type: 'string',
    value: 'TIME',
    about: 'the newest backup not later than this: 2026-11-24, 2026-11-24T18:30 (UTC), or as in make list',
  },
  manifest: { type: 'string', value: 'KEY', about: 'the backup with this manifest key' },
} as const satisfies Record<string, OptionDefinition>;

/** The options of a thaw. */
export const thawOptions = {
  tier: {
    type: 'string',
    value: 'TIER',
    about: 'Standard, Bulk or, for GLACIER, Expedited (default: RESTORE_TIER)',
  },
  days: {
    type: 'string',
    value: 'N',
    about:
      'days that thawed copies stay (default: what the transfer needs at RESTORE_RATE, at least RESTORE_DAYS)',
  },
} as const satisfies Record<string, OptionDefinition>;

/** @throws ToolError (usage) when two options choose a backup */
export function refuseTwoPoints(at: string | undefined, manifest: string | undefined): void {
  if (at !== undefined && manifest !== undefined) {
    throw new ToolError('AT and MANIFEST both choose a backup', { kind: 'usage', hint: 'give one of them' });
  }
}

/**
 * For scripts that take any name in the bucket.
 * @throws ToolError (usage) for `SUBVOLUME=` without a name, which is a mistake, not a selection of all.
 */
export function refuseEmptyName(selection: string | undefined): void {
  if (selection?.trim() !== '') return;
  throw new ToolError('SUBVOLUME= selects nothing', {
    kind: 'usage',
    hint: 'leave it out for all subvolumes',
  });
}

/** @throws ToolError (usage) for a subvolume to retire beside one to prune, and for `RETIRE=` without a name */
export function refuseTwoSelections(subvolume: string | undefined, retire: string | undefined): void {
  if (retire?.trim() === '') {
    throw new ToolError('RETIRE= names no subvolume', { kind: 'usage', hint: 'make list shows the names' });
  }
  if (subvolume === undefined || retire === undefined) return;
  throw new ToolError('SUBVOLUME and RETIRE both choose a subvolume', {
    kind: 'usage',
    hint: 'give one of them',
  });
}
