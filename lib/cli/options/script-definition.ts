/** How a script is described: its flags, what it needs, and its work. */
import type { SelectedSubvolume } from '../../core/settings/rules.ts';
import type { RunFacts } from '../../core/watch/run-record.ts';
import type { StageContext } from '../../stage/context.ts';
import type { StageResults } from '../for-each-subvolume.ts';
import type { OptionDefinition } from './help.ts';
import type { Needs } from './load-settings.ts';
import type { OptionValues } from './parse-options.ts';

/** A script: what it is, what it takes, what it does. */
export interface ScriptDefinition<Name extends string> {
  /** File name under scripts/. */
  readonly file: string;
  readonly summary: string;
  readonly options: Readonly<Record<Name, OptionDefinition>>;
  readonly needs: Needs;
  /** True for what only root can do. */
  readonly root?: true;
  /** True for what changes this host or the bucket: one such run at a time. Or the option without which it changes nothing. */
  readonly locked: boolean | NoInfer<Name>;
  /** Does the work, prints the result and gives the exit code. */
  readonly run: (script: RunningScript<Name>) => Promise<number>;
}

/** Handed to a script's `run`. */
export interface RunningScript<Name extends string> {
  readonly context: StageContext;
  readonly options: OptionValues<Name>;
  readonly json: boolean;
  /** Notes what this run found out of a subvolume, for the metrics and make status. */
  readonly note: (subvolume: string, facts: RunFacts) => void;
  /** Says that nothing was due, so that this run is not recorded. */
  readonly skip: () => void;
  /** Logs a failure that does not end the run, as one that does is logged: NOTIFY_COMMAND and pings pass it on. */
  readonly logFailure: (failure: unknown) => void;
  /** A line with fields for the JSON log alone. */
  readonly event: (fields: Readonly<Record<string, unknown>>, message: string) => void;
  /** Runs a stage for each selected subvolume, or for those among them that are named. */
  readonly forEachSubvolume: <Result>(
    stage: (subvolume: SelectedSubvolume) => Promise<Result>,
    names?: readonly string[],
  ) => Promise<StageResults<Result>>;
  /** The same for subvolumes that the bucket has. */
  readonly forEachOf: <Subvolume extends SelectedSubvolume, Result>(
    subvolumes: readonly Subvolume[],
    stage: (subvolume: Subvolume) => Promise<Result>,
  ) => Promise<StageResults<Result>>;
}
