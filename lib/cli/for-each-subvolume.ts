/** Selects subvolumes, and runs a stage for each. */
import type { Logger } from 'pino';
import { ToolError, worstExitCode } from '../core/errors.ts';
import type { SelectedSubvolume } from '../core/settings/rules.ts';
import { logError } from './log.ts';

/** The results of a stage by subvolume, and the worst exit code. */
export interface StageResults<Result> {
  readonly results: readonly (readonly [name: string, Result])[];
  /** Names of those that failed; the reasons were logged. */
  readonly failed: readonly string[];
  /** Why each of them failed. */
  readonly errors: readonly (readonly [name: string, error: unknown])[];
  readonly exitCode: number;
}

/**
 * Selects subvolumes by `NAME` or `NAME,NAME`; all where nothing is given.
 * @throws ToolError (usage) for a name that is not there; an empty selection is a mistake, not a selection of all.
 */
export function selectSubvolumes(
  all: readonly SelectedSubvolume[],
  selection: string | undefined,
): readonly SelectedSubvolume[] {
  if (selection === undefined) return all;
  const names = selection.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !all.some((subvolume) => subvolume.name === name));
  if (unknown.length > 0) {
    throw new ToolError(
      `SUBVOLUME=${selection} selects nothing: there is no "${unknown.join('", "')}" in SUBVOLUMES`,
      { kind: 'usage', hint: `choose from: ${all.map((subvolume) => subvolume.name).join(', ')}` },
    );
  }
  return all.filter((subvolume) => names.includes(subvolume.name));
}

/** Runs a stage for each, one after the other. A failure is logged and does not stop the others; an abort does. */
export async function forEachSubvolume<Subvolume extends SelectedSubvolume, Result>(
  subvolumes: readonly Subvolume[],
  stage: (subvolume: Subvolume) => Promise<Result>,
  log: Logger,
  signal: AbortSignal,
  namesFailures = subvolumes.length > 1,
): Promise<StageResults<Result>> {
  const results: (readonly [string, Result])[] = [];
  const errors: (readonly [string, unknown])[] = [];
  for (const subvolume of subvolumes) {
    signal.throwIfAborted();
    try {
      results.push([subvolume.name, await stage(subvolume)]);
    } catch (error) {
      signal.throwIfAborted();
      logError(log, error, namesFailures ? `${subvolume.name}: ` : '');
      errors.push([subvolume.name, error]);
    }
  }
  const failed = errors.map(([name]) => name);
  return { results, failed, errors, exitCode: worstExitCode(errors.map(([, error]) => error)) };
}
