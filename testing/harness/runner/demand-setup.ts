/** What a step needs of the steps before it. */
import { ToolError } from '../../../lib/core/errors.ts';
import type { Step } from './run-step.ts';
import { type RecordedBackup, readState, type State } from './state.ts';

/** The record of setup. @throws ToolError when nothing is set up, or with other settings */
export async function demandSetup({ places, settings }: Pick<Step, 'places' | 'settings'>): Promise<State> {
  const state = await readState(places);
  if (state && state.config !== settings.file) {
    throw new ToolError(`this run was set up with ${state.config}, not with ${settings.file}`, {
      hint: `give --config ${state.config}, or run teardown-btrfs.ts first`,
    });
  }
  if (state?.made.includes('filesystem')) return state;
  if (state) {
    throw new ToolError('this run was torn down in part', { hint: 'run teardown-btrfs.ts again' });
  }
  throw new ToolError('nothing is set up', { hint: 'run setup-btrfs.ts first, with the same --config' });
}

/** A setup with a server. */
export type StateWithS3 = State & { readonly s3: NonNullable<State['s3']> };

/** The record of a setup with a server. @throws ToolError when there is none */
export async function demandS3(step: Pick<Step, 'places' | 'settings'>): Promise<StateWithS3> {
  const state = await demandSetup(step);
  if (state.s3) return { ...state, s3: state.s3 };
  throw new ToolError('the harness was set up without S3', { hint: 'run setup-btrfs.ts without --skip-s3' });
}

/** The backups that were recorded, oldest first, at least one. @throws ToolError when there is none */
export function demandBackups({ backups }: State): readonly RecordedBackup[] {
  if (backups.length > 0) return backups;
  throw new ToolError('nothing is backed up yet', { hint: 'run run-full.ts first, with the same --config' });
}
