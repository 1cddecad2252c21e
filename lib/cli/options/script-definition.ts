/** How a script is described: its flags, what it needs, and its work. */
import type { SelectedSubvolume } from '../../core/settings/rules.ts';
import type { RunDirectory } from '../../edge/files/run-directory.ts';
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
  /** True for what changes this host or the bucket: one such run at a time. Or the option without which it changes nothing. */
  readonly locked: boolean | NoInfer<Name>;
  /** With the option `--prepared`, which such a script declares: what the stage before must have left behind. */
  readonly isPrepared?: (run: RunDirectory) => Promise<boolean>;
  /** Does the work, prints the result and gives the exit code. */
  readonly run: (script: RunningScript<Name>) => Promise<number>;
}

/** Handed to a script's `run`. */
export interface RunningScript<Name extends string> {
  readonly context: StageContext;
  readonly options: OptionValues<Name>;
  readonly json: boolean;
  /** Runs a stage for each selected subvolume. */
  readonly forEachSubvolume: <Result>(
    stage: (subvolume: SelectedSubvolume) => Promise<Result>,
  ) => Promise<StageResults<Result>>;
}
